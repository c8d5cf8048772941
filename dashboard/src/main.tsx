import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app'
import './style/base.css'

// After an upgrade a chunk that an open page wants is gone: the page is read anew, once.
window.addEventListener('vite:preloadError', (event) => {
  const key = 'reloaded-for-chunk'
  if (sessionStorage.getItem(key) === null) {
    sessionStorage.setItem(key, '1')
    event.preventDefault()
    location.reload()
  }
})

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
