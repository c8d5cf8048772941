import { useMutation } from '@tanstack/react-query'
import { useState, type ChangeEvent } from 'react'
import { api, data } from '../api/client'
import { problemOf } from '../api/problem'
import { useAssetNames } from '../live/live'
import { useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { Button, Check, Note, ProblemNote } from '../ui/forms'
import { Faults } from './faults'
import { KINDS, textOf, TRACK_ENDS, typeOfTrack, type Check as FileCheck, type Job } from './jobs'

type FileKind = (typeof KINDS)[number]
type ImportKind = Exclude<FileKind, 'upload_track'>

const PLACES = { import_assets: '/v1/imports/assets', import_trackers: '/v1/imports/trackers' } as const
const CSV_HEADERS = { 'Content-Type': 'text/csv' }

/** A file that is made into machines, trackers or positions. A spreadsheet is checked first. */
export function NewJob(props: { onMade: () => void }) {
  const say = useSay()
  const assets = useAssetNames()
  const [kind, setKind] = useState<FileKind>('import_assets')
  const [assetId, setAssetId] = useState('')
  const [toWebhooks, setToWebhooks] = useState(false)
  const [file, setFile] = useState<File | null>(null)
  const isTrack = kind === 'upload_track'
  const trackType = file === null ? null : typeOfTrack(file.name)
  const check = useMutation({ mutationFn: (of: File) => checked(kind as ImportKind, of) })
  const make = useMutation({
    mutationFn: (of: File) => (isTrack ? uploaded(assetId, of, toWebhooks) : imported(kind as ImportKind, of)),
    onSuccess: () => {
      check.reset()
      props.onMade()
    },
  })

  function forget() {
    check.reset()
    make.reset()
  }

  function take(event: ChangeEvent<HTMLInputElement>) {
    forget()
    setFile(event.target.files?.[0] ?? null)
  }

  function chooseKind(chosen: FileKind) {
    forget()
    setKind(chosen)
  }

  const problem = check.error ?? make.error
  const isUnreadable = isTrack && file !== null && trackType === null
  return (
    <section className="card" aria-label={say('new-import')}>
      <h2>{say('new-import')}</h2>
      <Choice label={say('job-kind')} value={kind} values={KINDS} texts={KINDS.map((each) => say(textOf(each)))} onChoose={chooseKind} />
      {isTrack && (
        <Choice
          label={say('asset')}
          value={assetId}
          values={['', ...assets.map(({ id }) => id)]}
          texts={[say('choose-asset'), ...assets.map(({ name }) => name)]}
          onChoose={setAssetId}
        />
      )}
      {isTrack && (
        <Check label={say('track-webhooks')} hint={say('track-webhooks-hint')} isChecked={toWebhooks} onChange={setToWebhooks} />
      )}
      <div className="field">
        <label htmlFor="job-file">{say('job-file')}</label>
        <input
          key={kind} // a file of one kind is none of another
          id="job-file"
          type="file"
          accept={isTrack ? TRACK_ENDS.join(',') : '.csv'}
          aria-describedby="job-file-hint"
          onChange={take}
        />
        <span id="job-file-hint" slot="description">{say(`${textOf(kind)}-hint`)}</span>
      </div>
      {isUnreadable && <Note kind="bad">{say('track-of-another-kind')}</Note>}
      {problem && <ProblemNote problem={problemOf(problem)} />}
      {check.data && <CheckNote check={check.data} />}
      {make.isSuccess && <Note kind="good">{say('job-made')}</Note>}
      <div className="row">
        {!isTrack && (
          <Button isDisabled={file === null} isPending={check.isPending} onPress={() => file && check.mutate(file)}>
            {say('check-file')}
          </Button>
        )}
        <Button
          look="main"
          isDisabled={file === null || (isTrack && (assetId === '' || trackType === null)) || check.data?.good === 0}
          isPending={make.isPending}
          onPress={() => file && make.mutate(file)}
        >
          {say(isTrack ? 'upload' : 'do-import')}
        </Button>
      </div>
    </section>
  )
}

function CheckNote(props: { check: FileCheck }) {
  const say = useSay()
  const { good, known, faulty, faults, more_faults } = props.check
  return (
    <Note kind={faulty > 0 ? 'bad' : 'good'}>
      <p>{say('check-found', { good, known, faulty })}</p>
      {faults.length > 0 && <Faults faults={faults} hasMore={more_faults} />}
    </Note>
  )
}

async function checked(kind: ImportKind, file: File): Promise<FileCheck> {
  const params = { query: { dry_run: true } }
  return (await data(api.POST(PLACES[kind], { params, headers: CSV_HEADERS, body: '', bodySerializer: () => file }))) as FileCheck
}

async function imported(kind: ImportKind, file: File): Promise<Job> {
  return (await data(api.POST(PLACES[kind], { headers: CSV_HEADERS, body: '', bodySerializer: () => file }))) as Job
}

function uploaded(id: string, file: File, webhooks: boolean): Promise<Job> {
  const headers = { 'Content-Type': typeOfTrack(file.name) ?? 'text/plain' }
  const params = { path: { id }, query: { webhooks } }
  return data(api.POST('/v1/assets/{id}/tracks', { params, headers, body: '', bodySerializer: () => file }))
}
