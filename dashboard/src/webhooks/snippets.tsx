import { useState } from 'react'
import express from '../../../examples/webhook_express.js?raw'
import fastapi from '../../../examples/webhook_fastapi.py?raw'
import python from '../../../examples/webhook_receiver.py?raw'
import shell from '../../../examples/webhook_verify.sh?raw'
import { useSay } from '../texts/texts'
import { Choice } from '../ui/choice'
import { CopyButton } from '../ui/table'

const PROGRAMS = { python, fastapi, express, shell }
const NAMES = ['python', 'fastapi', 'express', 'shell'] as const
const TITLES = ['Python', 'Python, FastAPI', 'Node.js, Express', 'Shell, OpenSSL']

/** Programs that verify what is received: the tested examples of the project, whole. */
export function Snippets() {
  const say = useSay()
  const [name, setName] = useState<(typeof NAMES)[number]>('python')
  return (
    <section className="card" aria-label={say('verification')}>
      <h2>{say('verification')}</h2>
      <p>{say('verification-hint')}</p>
      <div className="row">
        <Choice label={say('programming-language')} value={name} values={NAMES} texts={TITLES} onChoose={setName} />
        <CopyButton text={PROGRAMS[name]} />
      </div>
      <pre tabIndex={0} className="program">{PROGRAMS[name]}</pre>
    </section>
  )
}
