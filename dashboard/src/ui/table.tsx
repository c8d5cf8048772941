import { Fragment, type ReactNode } from 'react'
import { useSay } from '../texts/texts'
import { Button, Note } from './forms'

export interface Column<Row> {
  /** The name of its text; '' for a column of buttons. */
  title: string
  cell: (row: Row) => ReactNode
}

/** A table of things. The first column names the thing of its row. */
export function Table<Row extends { id: string }>(props: {
  label: string
  columns: readonly Column<Row>[]
  rows: readonly Row[] | undefined
  empty: string
  /** What stands below a row over its whole width, if anything. */
  below?: (row: Row) => ReactNode
}) {
  const say = useSay()
  if (props.rows === undefined) return <p className="waiting">{say('loading')}</p>
  if (props.rows.length === 0) return <Note kind="plain">{props.empty}</Note>
  const [first, ...others] = props.columns
  return (
    <div className="table-frame">
      <table aria-label={props.label}>
        <thead>
          <tr>
            {props.columns.map(({ title }) => (
              <th key={title} scope="col">
                {title === '' ? <span className="unseen">{say('actions')}</span> : say(title)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row) => {
            const below = props.below?.(row)
            return (
              <Fragment key={row.id}>
                <tr>
                  <th scope="row" dir="auto">{first!.cell(row)}</th>
                  {others.map(({ title, cell }) => (
                    <td key={title} data-title={title === '' ? '' : say(title)}>{cell(row)}</td>
                  ))}
                </tr>
                {below && (
                  <tr>
                    <td colSpan={props.columns.length} className="below">{below}</td>
                  </tr>
                )}
              </Fragment>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

/** A secret that is shown this once. */
export function SecretNote(props: { text: string; secret: string }) {
  return (
    <Note kind="good">
      <p>{props.text}</p>
      <code className="secret">{props.secret}</code>
      <CopyButton text={props.secret} />
    </Note>
  )
}

/** A button that copies a text, where the browser lets it. */
export function CopyButton(props: { text: string }) {
  const say = useSay()
  if (!isSecureContext) return null
  return <Button onPress={() => void navigator.clipboard.writeText(props.text)}>{say('copy')}</Button>
}
