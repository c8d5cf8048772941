/** The marks of assets: a colour and a shape for each state, so that neither alone has to be seen. */
import type { State } from '../live/positions'

const SIZE = 40 // pixels of the image, which is shown at half of it

export const STATE_COLOURS: Record<State, string> = {
  moving: '#0a7d4f',
  standing: '#0b5fae',
  silent: '#b45309',
  unknown: '#6b7280',
}

/** Kinds of zones and their colours, as MapLibre matches them. */
export const ZONE_COLOURS: [string, string, ...string[]] = [
  'restricted', '#c62828', 'allowed', '#0a7d4f', 'jobsite', '#0b5fae', 'yard', '#7b3fa0',
]

type Draw = (context: CanvasRenderingContext2D) => void

const SHAPES: Record<State, Draw> = {
  moving(context) {
    context.moveTo(20, 3) // an arrow to the north, which is turned by the heading
    context.lineTo(34, 35)
    context.lineTo(20, 27)
    context.lineTo(6, 35)
    context.closePath()
  },
  standing(context) {
    context.arc(20, 20, 13, 0, 2 * Math.PI)
  },
  silent(context) {
    context.moveTo(20, 4)
    context.lineTo(36, 20)
    context.lineTo(20, 36)
    context.lineTo(4, 20)
    context.closePath()
  },
  unknown(context) {
    context.rect(8, 8, 24, 24)
  },
}

/** The image of a state's mark. */
export function mark(state: State): ImageData {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = SIZE
  const context = canvas.getContext('2d')!
  context.beginPath()
  SHAPES[state](context)
  context.fillStyle = STATE_COLOURS[state]
  context.fill()
  context.lineWidth = 3
  context.strokeStyle = '#ffffff'
  context.stroke()
  return context.getImageData(0, 0, SIZE, SIZE)
}
