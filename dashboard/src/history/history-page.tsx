import { useEffect, useState } from 'react'
import { useSearchParams } from 'react-router'
import { problemOf } from '../api/problem'
import { useAssetNames } from '../live/live'
import { useLanguage, useSay } from '../texts/texts'
import { timeText } from '../texts/times'
import { Choice } from '../ui/choice'
import { Button, Note, ProblemNote } from '../ui/forms'
import type { Zone } from '../zones/shapes'
import { useZones } from '../zones/use-zones'
import { SpeedChart } from './speed-chart'
import { placeAt, type Fix } from './track'
import { TrackMap } from './track-map'
import { MOST_FIXES, useTrack, useVisits } from './use-track'

const HOUR_MS = 3_600_000
const FIRST_MS = 2 * HOUR_MS
const MOST_MS = 24 * HOUR_MS
const LAST_MS = 8.64e15 // of a Date
const PACES = ['1', '10', '60', '600'] as const
const KMH = 3.6
const NO_FIXES: readonly Fix[] = []
const NO_ZONES: readonly Zone[] = []

/** An instant of the address; null where there is none that can be read. */
function instantOf(text: string | null): number | null {
  const at = text === null || text === '' ? NaN : Number(text)
  return Math.abs(at) < LAST_MS ? at : null
}

/** An instant as an input of a day and a time has it, by the person's clock. */
function inputText(at: number): string {
  const shifted = new Date(at - new Date(at).getTimezoneOffset() * 60_000)
  return shifted.toISOString().slice(0, 16)
}

/** Moves an instant on from the first one, as often as the page is drawn, until the end. */
function usePlay(from: number, to: number, first: number) {
  const [at, setAt] = useState(first)
  const [pace, setPace] = useState<(typeof PACES)[number]>('60')
  const [isPlaying, setIsPlaying] = useState(false)
  useEffect(() => setAt(first), [first])
  useEffect(() => {
    if (!isPlaying) return
    let [last, frame] = [performance.now(), 0]
    const step = (now: number) => {
      const passed = (now - last) * Number(pace)
      last = now
      setAt((before) => Math.min(to, before + passed))
      frame = requestAnimationFrame(step)
    }
    frame = requestAnimationFrame(step)
    return () => cancelAnimationFrame(frame)
  }, [isPlaying, pace, to])
  useEffect(() => {
    if (at >= to) setIsPlaying(false)
  }, [at, to])
  function toggle() {
    if (!isPlaying && at >= to) setAt(from)
    setIsPlaying(!isPlaying)
  }
  return { at, setAt, pace, setPace, isPlaying, toggle }
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
  const track = useTrack(asset, ...span)
  const visits = useVisits(asset, ...span)
  const fixes = track.data ?? NO_FIXES
  const begin = fixes[0]?.at ?? from
  const end = fixes.at(-1)?.at ?? to
  const wanted = instantOf(address.get('at')) ?? begin
  const play = usePlay(begin, end, Math.min(Math.max(wanted, begin), end))
  const zoneNames = new Map(zones.data?.map((zone) => [zone.id, zone.name]))
  const speed = placeAt(fixes, play.at)?.fix.speed_mps

  function setSpan(begin: number, end: number, moved: 'from' | 'to') {
    // The other end follows where the time would be none, or longer than a day.
    const isGood = begin < end && end - begin <= MOST_MS
    if (!isGood && moved === 'from') end = begin + FIRST_MS
    if (!isGood && moved === 'to') begin = end - FIRST_MS
    set({ from: String(begin), to: String(end) })
  }

  function set(changes: Record<string, string>) {
    setAddress((old) => new URLSearchParams({ ...Object.fromEntries(old), ...changes }), { replace: true })
  }

  const problem = track.error ?? visits.error
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
        <label className="field">
          {say('from')}
          <input type="datetime-local" value={inputText(from)} onChange={(event) => setSpan(Date.parse(event.target.value) || from, to, 'from')} />
        </label>
        <label className="field">
          {say('to')}
          <input type="datetime-local" value={inputText(to)} onChange={(event) => setSpan(from, Date.parse(event.target.value) || to, 'to')} />
        </label>
        {problem && <ProblemNote problem={problemOf(problem)} />}
        {track.isFetching && <p className="waiting">{say('loading')}</p>}
        {track.data?.length === 0 && <Note kind="plain">{say('no-fixes')}</Note>}
        {fixes.length >= MOST_FIXES && <Note kind="plain">{say('only-newest-fixes', { count: MOST_FIXES })}</Note>}
        {fixes.length > 1 && (
          <>
            <SpeedChart label={say('greatest-speed')} fixes={fixes} from={fixes[0]!.at} to={fixes.at(-1)!.at} at={play.at} />
            <input
              type="range"
              aria-label={say('instant')}
              min={fixes[0]!.at}
              max={fixes.at(-1)!.at}
              step={1_000}
              value={play.at}
              onChange={(event) => play.setAt(Number(event.target.value))}
            />
            <p>
              <b>{timeText(language, new Date(play.at).toISOString(), 'second')}</b>
              {typeof speed === 'number' && ` · ${Math.round(speed * KMH)} km/h`}
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
        <TrackMap label={say('map')} fixes={fixes} zones={zones.data ?? NO_ZONES} at={play.at} onFailed={() => setIsFailed(true)} />
      )}
    </div>
  )
}
