import { useMutation, useQuery } from '@tanstack/react-query'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useSay } from '../texts/texts'
import { Button, ProblemNote } from '../ui/forms'
import { fileOf, isOpen, progressOf, textOf } from './jobs'

const LOOK_MS = 1_000

const FORMATS = { csv: 'CSV', parquet: 'Parquet' } as const

/** A list as a file that a job writes: how far it is, and where it is then. */
export function ExportLater(props: {
  list: Schemas['NewExport']['list']
  form: keyof typeof FORMATS
  filters: Record<string, string>
}) {
  const say = useSay()
  const begin = useMutation({ mutationFn: () => data(api.POST('/v1/exports', { body: props })) })
  const id = begin.data?.id
  const job = useQuery({
    queryKey: ['jobs', id],
    queryFn: () => data(api.GET('/v1/jobs/{id}', { params: { path: { id: id! } } })),
    enabled: id !== undefined,
    refetchInterval: ({ state }) => (state.data && !isOpen(state.data) ? false : LOOK_MS),
  })
  const shown = job.data ?? begin.data
  const problem = begin.error ?? job.error
  return (
    <>
      <div className="row">
        <Button onPress={() => begin.mutate()} isPending={begin.isPending}>
          {say('export-later', { format: FORMATS[props.form] })}
        </Button>
        {shown && (
          <span role="status">
            {say(textOf(shown.state))} {shown.state === 'running' && say(progressOf(shown), { done: shown.done, total: shown.total ?? 0 })}
          </span>
        )}
        {shown?.state === 'done' && <a href={fileOf(shown.id)} download>{say('fetch-file')}</a>}
      </div>
      <p className="small detail">{say('export-later-hint')}</p>
      {shown?.error && <p className="small detail" dir="auto">{shown.error}</p>}
      {problem && <ProblemNote problem={problemOf(problem)} />}
    </>
  )
}
