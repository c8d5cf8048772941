/** The marks of assets and employees: a colour and a shape for each state, so that neither alone has to be seen. */
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

/** A person's figure, and what lies below it in each state. */
const PERSON: Record<State | 'figure', string> = {
  moving: 'M13 2 H27 A11 11 0 0 1 38 13 V27 A11 11 0 0 1 27 38 H13 A11 11 0 0 1 2 27 V13 A11 11 0 0 1 13 2 Z',
  standing: 'M20 2 A18 18 0 0 1 20 38 A18 18 0 0 1 20 2 Z',
  silent: 'M20 0 L40 20 L20 40 L0 20 Z',
  unknown: 'M4 4 H36 V36 H4 Z',
  figure: 'M20 9 A5 5 0 0 1 20 19 A5 5 0 0 1 20 9 Z M11 29 V27 A6 6 0 0 1 17 21 H23 A6 6 0 0 1 29 27 V29 Z',
}

/** The path of a person's mark, as SVG writes it, in 40 x 40. */
export function personPath(part: State | 'figure'): string {
  return PERSON[part]
}

/** The image of a state's mark. */
export function mark(state: State): ImageData {
  return drawn((context) => {
    context.beginPath()
    SHAPES[state](context)
    context.fillStyle = STATE_COLOURS[state]
    context.fill()
    context.stroke()
  })
}

/** The image of the mark of a person in a state. */
export function personMark(state: State): ImageData {
  return drawn((context) => {
    context.translate(SIZE * 0.05, SIZE * 0.05) // room for the edge
    context.scale(0.9, 0.9)
    const below = new Path2D(PERSON[state])
    context.fillStyle = STATE_COLOURS[state]
    context.fill(below)
    context.stroke(below)
    context.fillStyle = '#ffffff'
    context.fill(new Path2D(PERSON.figure))
  })
}

function drawn(draw: Draw): ImageData {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = SIZE
  const context = canvas.getContext('2d')!
  context.lineWidth = 3
  context.strokeStyle = '#ffffff'
  draw(context)
  return context.getImageData(0, 0, SIZE, SIZE)
}
