import type { Schemas } from '../api/client'
import { useSay } from '../texts/texts'

type Changes = Schemas['AuditEventItem']['changes']

/** Each field that was changed, as it was and as it is. */
export function ChangeTable(props: { changes: Changes }) {
  const say = useSay()
  return (
    <div className="table-frame">
      <table className="changes" aria-label={say('changes')}>
        <thead>
          <tr>
            <th scope="col">{say('field')}</th>
            <th scope="col">{say('before')}</th>
            <th scope="col">{say('after')}</th>
          </tr>
        </thead>
        <tbody>
          {Object.entries(props.changes).map(([name, change]) => (
            <tr key={name}>
              <th scope="row"><code>{name}</code></th>
              {change.secret ? (
                <td colSpan={2}>{say('secret-changed')}</td>
              ) : (
                <>
                  <td data-title={say('before')}><Value value={change.old} /></td>
                  <td data-title={say('after')}><Value value={change.new} /></td>
                </>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Value(props: { value: unknown }) {
  if (props.value === null || props.value === undefined) return <span className="small">–</span>
  return <code className="value">{typeof props.value === 'string' ? props.value : JSON.stringify(props.value, null, 1)}</code>
}
