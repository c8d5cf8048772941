import { Component, type ReactNode } from 'react'
import { Sheet } from '../session/sheet'
import { useSay } from '../texts/texts'
import { Button, Note } from '../ui/forms'

/** Shows that a page has failed, in place of nothing. */
export class Boundary extends Component<{ children: ReactNode }, { hasFailed: boolean }> {
  override state = { hasFailed: false }

  static getDerivedStateFromError() {
    return { hasFailed: true }
  }

  override render() {
    return this.state.hasFailed ? <Failed /> : this.props.children
  }
}

function Failed() {
  const say = useSay()
  return (
    <Sheet title={say('problem')}>
      <Note kind="bad">{say('page-failed')}</Note>
      <Button look="main" onPress={() => location.assign('/app/')}>{say('load-again')}</Button>
    </Sheet>
  )
}
