import { useEffect, useMemo, useState } from 'react'
import { useSearchParams } from 'react-router'
import { problemOf } from '../api/problem'
import { useAssetNames } from '../live/live'
import type { AssetName } from '../live/positions'
import { useLanguage, useSay } from '../texts/texts'
import { speedText } from '../texts/display'
import { inputText, instantOfInput, timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { Button, Note, ProblemNote } from '../ui/forms'
import { useZones } from '../zones/use-zones'
import { DayLog } from './day-log'
import { WayExport } from './way-export'
import { SpeedChart } from './speed-chart'
import { placeAt, type Fix } from './track'
import { TrackMap, WAY_COLOURS } from './track-map'
import { MOST_FIXES, useTracks, useVisits } from './use-track'
import { differencesOf, drawn, useInForce, useTerms } from './zones-then'
import { ZonesThenNote } from './zones-then-note'

const HOUR_MS = 3_600_000
const FIRST_MS = 2 * HOUR_MS
const MOST_MS = 24 * HOUR_MS
const LAST_MS = 8.64e15 // of a Date
const PACES = ['1', '10', '60', '600'] as const
const NO_FIXES: readonly Fix[] = []

/** An instant of the address; null where there is none that can be read. */
function instantOf(text: string | null): number | null {
  const at = text === null || text === '' ? NaN : Number(text)
  return Math.abs(at) < LAST_MS ? at : null
}

/** The ids of a list in the address. */
function idsOf(text: string | null): string[] {
  return [...new Set((text ?? '').split(',').filter((id) => id !== ''))]
}

/** An instant between two others, which moves on as often as the page is drawn. It begins anew, at the wanted one, for
 *  another `what`. */
function usePlay(begin: number, end: number, wanted: number | null, what: string) {
  const [chosen, setChosen] = useState<number | null>(null)
  const [pace, setPace] = useState<(typeof PACES)[number]>('60')
  const [isPlaying, setIsPlaying] = useState(false)
  const at = Math.min(Math.max(chosen ?? wanted ?? begin, begin), end)
  useEffect(() => {
    setChosen(null)
  }, [what])
  useEffect(() => {
    if (!isPlaying) return
    let [last, frame] = [performance.now(), 0]
    const step = (now: number) => {
      const passed = (now - last) * Number(pace)
      last = now
      setChosen((before) => Math.min(end, (before ?? at) + passed))
      frame = requestAnimationFrame(step)
    }
    frame = requestAnimationFrame(step)
    return () => cancelAnimationFrame(frame)
    // Where it begins is read once.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [isPlaying, pace, end])
  useEffect(() => {
    if (at >= end) setIsPlaying(false)
  }, [at, end])
  function toggle() {
    if (!isPlaying && at >= end) setChosen(begin)
    setIsPlaying(!isPlaying)
  }
  return { at, setAt: setChosen, pace, setPace, isPlaying, toggle }
}

/** The other machines that are played beside the first, up to as many as there are colours. */
function Beside(props: { ids: readonly string[]; assets: readonly AssetName[]; onChange: (ids: string[]) => void }) {
  const say = useSay()
  const { ids, assets, onChange } = props
  const free = assets.filter(({ id }) => !ids.includes(id))
  return (
    <>
      {ids.map((id, number) => (
        <p key={id} className="beside">
          <span className="mark" style={{ background: WAY_COLOURS[number + 1] }} aria-hidden="true" />
          <b dir="auto">{assets.find((item) => item.id === id)?.name ?? id}</b>
          <Button onPress={() => onChange(ids.filter((each) => each !== id))}>{say('take-away')}</Button>
        </p>
      ))}
      {ids.length < WAY_COLOURS.length - 1 && free.length > 0 && (
        <Choice
          label={say('beside-it')}
          value=""
          values={['', ...free.map(({ id }) => id)]}
          texts={[say('nobody-beside'), ...free.map(({ name }) => name)]}
          onChoose={(id) => onChange([...ids, id])}
        />
      )}
    </>
  )
}

/** Where an asset was: its way over up to a day, played by time. The address keeps what is shown. */
export default function HistoryPage() {
  const say = useSay()
  const language = useLanguage()
  const assets = useAssetNames()
  const zones = useZones()
  const [address, setAddress] = useSearchParams()
  const [now] = useState(Date.now)
  const [isFailed, setIsFailed] = useState(false)
  const asset = address.get('asset')
  const to = instantOf(address.get('to')) ?? now
  const from = Math.max(instantOf(address.get('from')) ?? to - FIRST_MS, to - MOST_MS)
  const span = [new Date(from).toISOString(), new Date(to).toISOString()] as const
  const others = idsOf(address.get('also')).filter((id) => id !== asset).slice(0, WAY_COLOURS.length - 1)
  const shown = asset === null ? [] : [asset, ...others]
  const tracks = useTracks(shown, ...span)
  const visits = useVisits(asset, ...span)
  const ways = tracks.ways
  const fixes = ways[0] ?? NO_FIXES
  const begin = Math.min(...ways.map((way) => way[0]?.at ?? to), to)
  const end = Math.max(...ways.map((way) => way.at(-1)?.at ?? begin), begin)
  const play = usePlay(begin, end, instantOf(address.get('at')), [asset, ...span].join(' '))
  const terms = useTerms(...span)
  const versions = useInForce(terms.data, play.at)
  const then = useMemo(() => drawn(versions), [versions])
  const differences = useMemo(() => differencesOf(versions, zones.data ?? []), [versions, zones.data])
  const zoneNames = new Map<string, string>()
  for (const { version } of terms.data ?? []) if (!zoneNames.has(version.zone_id)) zoneNames.set(version.zone_id, version.name) // newest first
  for (const zone of zones.data ?? []) if (!zoneNames.has(zone.id)) zoneNames.set(zone.id, zone.name)
  const speed = placeAt(fixes, play.at)?.fix.speed_mps

  function setSpan(begin: number, end: number, moved: 'from' | 'to') {
    // The other end follows where the time would be none, or longer than a day.
    const isGood = begin < end && end - begin <= MOST_MS
    if (!isGood && moved === 'from') end = begin + FIRST_MS
    if (!isGood && moved === 'to') begin = end - FIRST_MS
    set({ from: String(begin), to: String(end) })
  }

  function set(changes: Record<string, string>) {
    setAddress((old) => {
      const next = new URLSearchParams({ ...Object.fromEntries(old), ...changes })
      if (!('also' in changes)) next.delete('at') // it was a moment of what was shown before
      return next
    }, { replace: true })
  }

  const problem = tracks.error ?? visits.error ?? terms.error
  return (
    <div className={isFailed ? 'map-page without-map' : 'map-page'}>
      <section className="side history" aria-label={say('history')}>
        <h1>{say('history')}</h1>
        <Choice
          label={say('asset')}
          value={asset ?? ''}
          values={['', ...assets.map((item) => item.id)]}
          texts={[say('choose-asset'), ...assets.map((item) => item.name)]}
          onChoose={(id) => set({ asset: id })}
        />
        {asset !== null && (
          <Beside
            ids={others}
            assets={assets.filter(({ id }) => id !== asset)}
            onChange={(ids) => set({ also: ids.join(',') })}
          />
        )}
        <label className="field">
          {say('from')}
          <input type="datetime-local" value={inputText(from)} onChange={(event) => setSpan(instantOfInput(event.target.value) ?? from, to, 'from')} />
        </label>
        <label className="field">
          {say('to')}
          <input type="datetime-local" value={inputText(to)} onChange={(event) => setSpan(from, instantOfInput(event.target.value) ?? to, 'to')} />
        </label>
        {problem && <ProblemNote problem={problemOf(problem)} />}
        {tracks.isFetching && <p className="waiting">{say('loading')}</p>}
        {asset !== null && !tracks.isFetching && !problem && ways.every((way) => way.length === 0) && <Note kind="plain">{say('no-fixes')}</Note>}
        {ways.some((way) => way.length >= MOST_FIXES) && <Note kind="plain">{say('only-newest-fixes', { count: MOST_FIXES })}</Note>}
        {end > begin && (
          <>
            <SpeedChart label={say('greatest-speed')} fixes={fixes} from={begin} to={end} at={play.at} />
            <input
              type="range"
              aria-label={say('instant')}
              min={begin}
              max={end}
              step={1_000}
              value={play.at}
              onChange={(event) => play.setAt(Number(event.target.value))}
            />
            <p>
              <b>{timeText(language, new Date(play.at).toISOString(), 'second')}</b>
              {typeof speed === 'number' && ` · ${speedText(speed)}`}
            </p>
            <div className="row">
              <Button look="main" onPress={play.toggle}>
                {say(play.isPlaying ? 'pause' : 'play')}
              </Button>
              <Choice
                label={say('pace')}
                isLabelSeen={false}
                value={play.pace}
                values={PACES}
                texts={PACES.map((pace) => `${pace} ×`)}
                onChoose={play.setPace}
              />
            </div>
          </>
        )}
        {zones.data && <ZonesThenNote differences={differences} />}
        {fixes.length > 0 && <DayLog asset={asset!} from={span[0]} to={span[1]} onShow={play.setAt} />}
        {fixes.length > 0 && <WayExport asset={asset!} from={span[0]} to={span[1]} />}
        {visits.data && visits.data.data.length > 0 && <h2>{say('visits')}</h2>}
        <ul className="visits" aria-label={say('visits')}>
          {visits.data?.data.map((visit) => (
            <li key={visit.id}>
              <button type="button" onClick={() => play.setAt(Date.parse(visit.entered_at))}>
                <b dir="auto">{zoneNames.get(visit.zone_id) ?? visit.zone_id}</b>
                <span className="small">
                  {timeText(language, visit.entered_at, 'second')}
                  {visit.left_at !== null && ` – ${timeText(language, visit.left_at, 'second')}`}
                </span>
              </button>
            </li>
          ))}
        </ul>
      </section>
      {isFailed ? (
        <Note kind="plain">{say('no-webgl')}</Note>
      ) : (
        <TrackMap label={say('map')} ways={ways} zones={then} at={play.at} onFailed={() => setIsFailed(true)} />
      )}
    </div>
  )
}
