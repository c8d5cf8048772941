import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRef, type FormEvent } from 'react'
import { api, data, type Schemas } from '../api/client'
import { problemOf } from '../api/problem'
import { ASSETS } from '../live/live'
import { useSay } from '../texts/texts'
import { Button, ProblemNote, TextInput } from '../ui/forms'
import { nameOf, type Device } from './reasons'

/** Registers a device as the tracker of a new machine. */
export function RegisterForm(props: { device: Device; onDone: (name: string) => void; onCancel: () => void }) {
  const say = useSay()
  const queries = useQueryClient()
  const asset = useRef<{ id: string; name: string } | null>(null) // made, and without its tracker yet
  const register = useMutation({
    mutationFn: async (name: string) => {
      if (asset.current?.name !== name) {
        asset.current = await data(api.POST('/v1/assets', { body: { name } as Schemas['NewAsset'] }))
      }
      const body = { name, asset_id: asset.current.id } as Schemas['Registration']
      await data(api.POST('/v1/unknown-devices/{id}/register', { params: { path: { id: props.device.id } }, body }))
    },
    onSuccess: (_, name) => {
      props.onDone(name)
      return queries.invalidateQueries({ queryKey: ASSETS })
    },
  })

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    register.mutate(String(new FormData(event.currentTarget).get('name')))
  }

  return (
    <form onSubmit={submit} className="stack" aria-label={say('register-device', { name: nameOf(props.device) })}>
      <TextInput name="name" label={say('name-of-machine')} hint={say('register-hint')} isRequired maxLength={200} autoFocus />
      <div className="row">
        <Button type="submit" look="main" isPending={register.isPending}>{say('register')}</Button>
        <Button onPress={props.onCancel}>{say('cancel')}</Button>
      </div>
      {register.error && <ProblemNote problem={problemOf(register.error)} />}
    </form>
  )
}
