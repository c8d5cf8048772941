import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useSay } from '../texts/texts'
import { timeOf } from '../ui/filters'
import { Button, Note, ProblemNote, TextInput } from '../ui/forms'

/** Sends again what has failed since a time: counted first, then put back. */
export function Recovery(props: { id: string; isActive: boolean }) {
  const say = useSay()
  const queries = useQueryClient()
  const [since, setSince] = useState('')
  const [isSending, setIsSending] = useState(false)
  const time = timeOf(since)
  const recover = useMutation({
    mutationFn: (confirm: boolean) =>
      data(
        api.POST('/v1/webhook-endpoints/{id}/recover', {
          params: { path: { id: props.id } },
          body: { since: time ?? '', confirm },
        }),
      ),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['deliveries', props.id] }),
  })
  function ask(confirm: boolean) {
    setIsSending(confirm)
    recover.mutate(confirm)
  }
  const found = recover.data
  return (
    <section className="card" aria-label={say('recovery')}>
      <h2>{say('recovery')}</h2>
      <p>{say(props.isActive ? 'recovery-hint' : 'recovery-needs-active')}</p>
      <div className="row">
        <TextInput
          type="datetime-local"
          label={say('failed-since')}
          value={since}
          onChange={(since) => {
            setSince(since)
            recover.reset()
          }}
        />
        <Button isDisabled={time === undefined} isPending={recover.isPending && !isSending} onPress={() => ask(false)}>
          {say('count-failed')}
        </Button>
      </div>
      {recover.error && <ProblemNote problem={problemOf(recover.error)} />}
      {found && (
        <Note kind={isSending ? 'good' : 'plain'}>
          <p>{isSending ? say('recovered', { count: found.recovered }) : say('failed-found', { count: found.failed })}</p>
          {found.failed > found.recovered && props.isActive && (
            <Button look="main" isPending={recover.isPending} onPress={() => ask(true)}>{say('send-failed-again')}</Button>
          )}
        </Note>
      )}
    </section>
  )
}
