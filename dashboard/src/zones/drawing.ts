/** Drawing on a map, by terra-draw: one polygon, corridor or centre at a time. */
import type { Map as LibreMap } from 'maplibre-gl'
import {
  TerraDraw,
  TerraDrawLineStringMode,
  TerraDrawPointMode,
  TerraDrawPolygonMode,
  TerraDrawSelectMode,
} from 'terra-draw'
import { TerraDrawMapLibreGLAdapter } from 'terra-draw-maplibre-gl-adapter'
import type { LineString, Point, Polygon } from 'geojson'

export type Drawn = Polygon | LineString | Point
export const MODES = ['polygon', 'point', 'linestring'] as const
export type Mode = (typeof MODES)[number]

const DIGITS = 7 // of a degree: a centimetre
const COORDINATES = { midpoints: true, draggable: true, deletable: true }

/** Coordinates with no more digits than are drawn: terra-draw takes no others. */
export function rounded<T>(coordinates: T): T {
  if (Array.isArray(coordinates)) return coordinates.map(rounded) as T
  return Number(Number(coordinates).toFixed(DIGITS)) as T
}

/** onChange: what is drawn now; null where nothing is whole. */
export class Drawing {
  private readonly draw: TerraDraw
  private mode: Mode = 'polygon'

  constructor(map: LibreMap, private readonly onChange: (drawn: Drawn | null) => void) {
    const feature = { draggable: true, coordinates: COORDINATES }
    this.draw = new TerraDraw({
      adapter: new TerraDrawMapLibreGLAdapter({ map, coordinatePrecision: DIGITS }),
      modes: [
        new TerraDrawPolygonMode(),
        new TerraDrawLineStringMode(),
        new TerraDrawPointMode(),
        new TerraDrawSelectMode({
          flags: { polygon: { feature }, linestring: { feature }, point: { feature: { draggable: true } } },
        }),
      ],
    })
    this.draw.start()
    this.draw.on('finish', (id, { action }) => {
      this.tell()
      if (action === 'draw') this.change(id)
    })
  }

  /** Begin anew, with another kind of shape. */
  begin(mode: Mode): void {
    this.mode = mode
    this.draw.clear()
    this.draw.setMode(mode)
    this.onChange(null)
  }

  /** Show a shape, to be changed. It stays as it is until it is. */
  show(shape: Drawn): void {
    this.draw.clear()
    this.mode = shape.type.toLowerCase() as Mode
    const geometry = { ...shape, coordinates: rounded(shape.coordinates) } as Drawn
    const [added] = this.draw.addFeatures([{ type: 'Feature', geometry, properties: { mode: this.mode } }])
    if (added?.valid && added.id !== undefined) this.change(added.id)
  }

  end(): void {
    this.draw.stop()
  }

  private change(id: string | number): void {
    this.draw.setMode('select')
    this.draw.selectFeature(id)
  }

  private tell(): void {
    const found = this.draw.getSnapshot().find((feature) => feature.properties.mode === this.mode)
    this.onChange((found?.geometry as Drawn | undefined) ?? null)
  }
}
