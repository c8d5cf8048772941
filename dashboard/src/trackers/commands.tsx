import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Button, Check, ProblemNote, TextInput } from '../ui/forms'
import { Table, type Column } from '../ui/table'

const SHOWN = 20
const LOOK_AGAIN_MS = 2_000
type Command = Schemas['CommandItem']

/** The commands of a tracker: sent here, with what its device said. */
export function Commands(props: { trackerId: string; name: string }) {
  const say = useSay()
  const language = useLanguage()
  const queries = useQueryClient()
  const COMMANDS = ['commands', props.trackerId]
  const commands = useQuery({
    queryKey: COMMANDS,
    queryFn: () => {
      const query = { tracker_id: props.trackerId, limit: SHOWN, total: 'none' } as const
      return data(api.GET('/v1/commands', { params: { query } }))
    },
    refetchInterval: LOOK_AGAIN_MS,
  })
  const refresh = () => queries.invalidateQueries({ queryKey: COMMANDS })
  const send = useMutation({
    mutationFn: (body: Schemas['NewCommand']) =>
      data(api.POST('/v1/trackers/{id}/commands', { params: { path: { id: props.trackerId } }, body })),
    onSettled: refresh,
  })
  const cancel = useMutation({
    mutationFn: (id: string) => data(api.POST('/v1/commands/{id}/cancel', { params: { path: { id } } })),
    onSettled: refresh,
  })

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    const given = new FormData(form)
    const body = { text: String(given.get('text')), repeatable: given.has('repeatable') } as Schemas['NewCommand']
    send.mutate(body, { onSuccess: () => form.reset() })
  }

  const columns: Column<Command>[] = [
    {
      title: 'command',
      cell: ({ text, created_at }) => (
        <>
          <code>{text}</code>
          <span className="small detail">{timeText(language, created_at, 'second')}</span>
        </>
      ),
    },
    {
      title: 'state',
      cell: ({ state, expires_at, sends }) => (
        <>
          {say(`command-${state}`)}
          {state === 'queued' && <span className="small detail">{say('command-until', { time: timeText(language, expires_at) })}</span>}
          {sends > 1 && <span className="small detail">{say('command-sends', { count: sends })}</span>}
        </>
      ),
    },
    { title: 'answer', cell: ({ answer }) => answer !== null && <code className="answer" dir="auto" tabIndex={0}>{answer}</code> },
    {
      title: '',
      cell: ({ id, state }) => state === 'queued' && <Button onPress={() => cancel.mutate(id)}>{say('cancel')}</Button>,
    },
  ]

  const problem = commands.error ?? send.error ?? cancel.error
  return (
    <section className="stack" aria-label={say('commands-of', { name: props.name })}>
      <form onSubmit={submit} className="stack">
        <TextInput name="text" label={say('command')} hint={say('command-hint')} isRequired maxLength={200} />
        <Check name="repeatable" label={say('command-repeatable')} hint={say('command-repeatable-hint')} isChecked={false} />
        <div className="row">
          <Button type="submit" look="main" isPending={send.isPending}>{say('send-command')}</Button>
        </div>
      </form>
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {!commands.error && (
        <Table label={say('commands')} columns={columns} rows={commands.data?.data} empty={say('no-commands')} />
      )}
    </section>
  )
}
