import { useMutation } from '@tanstack/react-query'
import { FileTrigger } from 'react-aria-components'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useHasRole } from '../session/session'
import { useSay } from '../texts/texts'
import { Button, ProblemNote } from '../ui/forms'
import { useLogoRefresh, type Organization } from './organization'

const PLACE = '/v1/organization/logo'
const TYPES = ['image/png', 'image/jpeg', 'image/webp']

/** The logo that documents show. */
export function Logo(props: { organization: Organization }) {
  const say = useSay()
  const mayChange = useHasRole('admin')
  const refresh = useLogoRefresh()
  const { logo_sha256: hash } = props.organization
  const put = useMutation({
    mutationFn: (file: File) => {
      const form = new FormData()
      form.append('file', file)
      return data(api.PUT(PLACE, { body: { file: '' }, bodySerializer: () => form }))
    },
    onSuccess: refresh,
  })
  const remove = useMutation({ mutationFn: () => data(api.DELETE(PLACE)), onSuccess: refresh })
  const problem = put.error ?? remove.error
  return (
    <section className="card" aria-label={say('logo')}>
      <h2>{say('logo')}</h2>
      <p>{say('logo-hint')}</p>
      {/* The hash is no part of what is asked for: another logo is another address to the browser. */}
      {hash !== null && <img className="logo" src={`${PLACE}#${hash}`} alt={say('logo')} />}
      {hash === null && !mayChange && <p className="small">{say('no-logo')}</p>}
      {mayChange && (
        <div className="row">
          <FileTrigger
            acceptedFileTypes={TYPES}
            onSelect={(files) => {
              const file = files?.item(0)
              if (file) put.mutate(file)
            }}
          >
            <Button isPending={put.isPending}>{say(hash === null ? 'choose-logo' : 'change-logo')}</Button>
          </FileTrigger>
          {hash !== null && (
            <Button look="danger" onPress={() => confirm(say('sure-delete', { name: say('logo') })) && remove.mutate()}>
              {say('delete')}
            </Button>
          )}
        </div>
      )}
      {problem && <ProblemNote problem={problemOf(problem)} />}
    </section>
  )
}
