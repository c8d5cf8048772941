import { expect, it } from 'vitest'
import { simplest } from './types'

it('leaves out what another pattern has in it', () => {
  expect(simplest(new Set(['stock.low', 'asset.overspeed', 'asset.*']))).toEqual(['asset.*', 'stock.low'])
  expect(simplest(new Set(['stock.low', '*', 'asset.*']))).toEqual(['*'])
  expect(simplest(new Set())).toEqual([])
})
