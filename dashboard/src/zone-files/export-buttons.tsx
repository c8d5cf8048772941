import { useMutation } from '@tanstack/react-query'
import type { Feature } from 'geojson'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useSay } from '../texts/texts'
import { Button, ProblemNote } from '../ui/forms'
import { offer } from '../ui/offer'
import { kmlOf } from './kml'

const PAGE = 1_000
const FORMATS = ['GeoJSON', 'KML'] as const
type Format = (typeof FORMATS)[number]

/** All zones as a file: as the API has them in GeoJSON, or in KML for other programs. */
export function ExportButtons() {
  const say = useSay()
  const save = useMutation({
    mutationFn: async (format: Format) => {
      const features = await readAll()
      if (format === 'KML') offer('zones.kml', 'application/vnd.google-earth.kml+xml', kmlOf(features))
      else offer('zones.geojson', 'application/geo+json', JSON.stringify({ type: 'FeatureCollection', features }))
    },
  })
  return (
    <>
      {FORMATS.map((format) => (
        <Button key={format} onPress={() => save.mutate(format)} isPending={save.isPending && save.variables === format}>
          {say('export', { format })}
        </Button>
      ))}
      {save.error && <ProblemNote problem={problemOf(save.error)} />}
    </>
  )
}

async function readAll(): Promise<Feature[]> {
  const features: Feature[] = []
  let cursor: string | null = null
  do {
    const query = { limit: PAGE, total: 'none' as const, ...(cursor === null ? {} : { cursor }) }
    const headers = { Accept: 'application/geo+json' }
    const answer: unknown = await data(api.GET('/v1/zones', { params: { query }, headers }))
    const page = answer as { features: Feature[]; next_cursor: string | null }
    features.push(...page.features)
    cursor = page.next_cursor
  } while (cursor !== null)
  return features
}
