/** A sound where something alerts, if somebody wants it. The browser keeps the choice. */
import { useState } from 'react'

const KEPT = 'alert-sound'
const ON = 'on'
const TONE_HZ = 880
const TONE_S = 0.25
const PAUSE_MS = 2_000 // many things may come at once
let context: AudioContext | null = null
let lastMs = -PAUSE_MS

function isWanted(): boolean {
  return localStorage.getItem(KEPT) === ON
}

/** Play the sound. A browser plays none before somebody has clicked on the page. */
export function soundAlert(): void {
  if (!isWanted() || performance.now() - lastMs < PAUSE_MS) return
  context ??= new AudioContext()
  void context.resume()
  if (context.state !== 'running') return
  lastMs = performance.now()
  const tone = context.createOscillator()
  const volume = context.createGain()
  tone.frequency.value = TONE_HZ
  volume.gain.setValueAtTime(0.2, context.currentTime)
  volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + TONE_S)
  tone.connect(volume).connect(context.destination)
  tone.start()
  tone.stop(context.currentTime + TONE_S)
}

export function useSoundChoice(): [boolean, (wanted: boolean) => void] {
  const [isOn, setIsOn] = useState(isWanted)
  return [
    isOn,
    (wanted) => {
      localStorage.setItem(KEPT, wanted ? ON : '')
      setIsOn(wanted)
      soundAlert() // this is how it sounds
    },
  ]
}
