import { useSay } from '../texts/texts'
import { Table, type Column } from '../ui/table'
import type { Found } from './found'

/** A row of a file, and what became of it. messages: of the API. */
export interface Row {
  id: string
  found: Found
  isWanted: boolean
  result: 'made' | 'refused' | null
  messages: readonly string[]
}

/** What was found in a file. Rows without a tick are left out. */
export function FoundTable(props: {
  rows: readonly Row[]
  chosen: string | null
  onChoose: (id: string) => void
  onWant: (id: string, isWanted: boolean) => void
}) {
  const say = useSay()
  const columns: Column<Row>[] = [
    { title: 'name', cell: wantedCell },
    { title: 'shape', cell: ({ id, found }) => found.geometry && shapeButton(id, found) },
    { title: 'result', cell: resultCell },
  ]

  function wantedCell({ id, found, isWanted, result }: Row) {
    return (
      <label className="tick">
        <input
          type="checkbox"
          checked={isWanted}
          disabled={found.fault !== null || result === 'made'}
          onChange={() => props.onWant(id, !isWanted)}
        />
        <span>{found.name}</span>
      </label>
    )
  }

  function shapeButton(id: string, found: Found) {
    return (
      <button type="button" className="as-link" aria-pressed={id === props.chosen} onClick={() => props.onChoose(id)}>
        {say(`shape-${found.geometry!.type.toLowerCase()}`)}
      </button>
    )
  }

  function resultCell({ found, result, messages }: Row) {
    if (found.fault !== null) return say(found.fault)
    if (result === null) return null
    return result === 'made' ? say('row-made') : messages.join(' ')
  }

  return <Table label={say('import-found')} columns={columns} rows={props.rows} empty={say('import-nothing')} />
}
