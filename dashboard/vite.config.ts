import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// The API serves what is built here (api/resources/dashboard.py).
export default defineConfig({
  base: '/app/',
  plugins: [react()],
  // Pages show programs of ../examples.
  server: { fs: { allow: ['..'] }, proxy: { '/v1': { target: 'http://127.0.0.1:8000', ws: true } } },
  build: {
    outDir: '../api/dashboard',
    emptyOutDir: true,
    assetsDir: 'static',
    assetsInlineLimit: 0, // the policy allows no data: in fonts and scripts
    chunkSizeWarningLimit: 1200, // the map, which has a chunk of its own
  },
})
