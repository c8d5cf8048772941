declare module 'virtual:cities' {
  /** [name, longitude, latitude, thousands of inhabitants] of each city (vite.config.ts). */
  const cities: readonly [string, number, number, number][]
  export default cities
}
