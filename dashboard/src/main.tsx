import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app'
import { VERSION } from './version'
import './style/base.css'

// After an upgrade a chunk that an open page wants is gone: the page is read anew, once a version.
window.addEventListener('vite:preloadError', (event) => {
  const key = 'reloaded-of-version'
  if (sessionStorage.getItem(key) !== VERSION) {
    sessionStorage.setItem(key, VERSION)
    event.preventDefault()
    location.reload()
  }
})

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
