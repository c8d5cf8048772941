/** The rows of a file, by what it begins with. */
import { Unreadable, type Found } from './found'
import { readGeoJson } from './geojson'
import { readGpx } from './gpx'
import { readKml } from './kml'
import { parsed, type Parse } from './xml'

/** Throws Unreadable. title: what rows without a name are called. */
export function readRows(text: string, title: string, parse: Parse = parsed): Found[] {
  const begun = text.trimStart()
  if (begun.startsWith('{')) return readGeoJson(text, title)
  if (!begun.startsWith('<')) throw new Unreadable('file-of-another-kind')
  const document = parse(begun)
  const root = document.documentElement.localName
  if (root === 'kml') return readKml(document, title)
  if (root === 'gpx') return readGpx(document, title)
  throw new Unreadable('file-of-another-kind')
}
