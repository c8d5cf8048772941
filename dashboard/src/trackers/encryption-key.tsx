import { useMutation } from '@tanstack/react-query'
import type { FormEvent } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { useSay } from '../texts/texts'
import { Button, Note, ProblemNote, TextInput } from '../ui/forms'

/** The key that OwnTracks on a phone encrypts with: it is given, or taken away, and never shown. */
export function EncryptionKey(props: { tracker: Schemas['TrackerItem']; onChanged: () => Promise<void> }) {
  const say = useSay()
  const { id, name, has_encryption_key } = props.tracker
  const change = useMutation({
    mutationFn: (encryption_key: string | null) => {
      const body = { encryption_key } as Schemas['TrackerChange']
      return data(api.PATCH('/v1/trackers/{id}', { params: { path: { id } }, body }))
    },
    onSuccess: props.onChanged,
  })

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    const form = event.currentTarget
    change.mutate(String(new FormData(form).get('encryption_key')), { onSuccess: () => form.reset() })
  }

  return (
    <section className="stack" aria-label={say('encryption-of', { name: name ?? id })}>
      <Note kind={has_encryption_key ? 'good' : 'plain'}>{say(has_encryption_key ? 'has-encryption-key' : 'no-encryption-key')}</Note>
      <form onSubmit={submit} className="stack">
        <TextInput
          name="encryption_key"
          label={say('encryption-key')}
          hint={say('encryption-key-hint')}
          type="password"
          autoComplete="off"
          isRequired
          maxLength={32}
        />
        <div className="row">
          <Button type="submit" look="main" isPending={change.isPending}>{say('save')}</Button>
          {has_encryption_key && (
            <Button look="danger" onPress={() => change.mutate(null)}>{say('remove-encryption-key')}</Button>
          )}
        </div>
      </form>
      {change.error && <ProblemNote problem={problemOf(change.error)} />}
    </section>
  )
}
