import { useMutation } from '@tanstack/react-query'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { ExportLater } from '../jobs/export-later'
import { useSay } from '../texts/texts'
import { Button, ProblemNote } from '../ui/forms'
import { offer } from '../ui/offer'

const FORMS = [
  { format: 'CSV', extension: 'csv', type: 'text/csv' },
  { format: 'GeoJSON', extension: 'geojson', type: 'application/geo+json' },
  { format: 'GPX', extension: 'gpx', type: 'application/gpx+xml' },
] as const
type Form = (typeof FORMS)[number]

/** The way of an asset in a time as a file, as the API writes it. */
export function WayExport(props: { asset: string; from: string; to: string }) {
  const say = useSay()
  const mayExportLater = useHasRole('dispatcher')
  const { asset, from, to } = props
  const save = useMutation({
    mutationFn: async ({ extension, type }: Form) => {
      const asked = { params: { query: { asset_id: asset, from, to } }, headers: { Accept: type }, parseAs: 'blob' as const }
      const content: unknown = await data(api.GET('/v1/gps-events', asked))
      offer(`${asset}-${from.slice(0, 10)}.${extension}`, type, content as Blob)
    },
  })
  return (
    <>
      <div className="row">
        {FORMS.map((form) => (
          <Button key={form.format} onPress={() => save.mutate(form)} isPending={save.isPending && save.variables === form}>
            {say('export', { format: form.format })}
          </Button>
        ))}
      </div>
      {save.error && <ProblemNote problem={problemOf(save.error)} />}
      {mayExportLater && (
        <ExportLater
          key={`${asset} ${from} ${to}`}
          list="gps-events"
          form="parquet"
          filters={{ asset_id: asset, from, to }}
        />
      )}
    </>
  )
}
