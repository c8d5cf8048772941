/** Reading KML and GPX: elements by their local name, whatever their namespace. */
import type { Position } from 'geojson'
import { Unreadable } from './found'

export type Parse = (text: string) => Document

/** What a browser does. Throws Unreadable. */
export function parsed(text: string): Document {
  const document = new DOMParser().parseFromString(text, 'application/xml')
  if (document.getElementsByTagName('parsererror').length > 0) throw new Unreadable('file-unreadable')
  return document
}

export function childrenOf(parent: Element, name?: string): Element[] {
  const elements = Array.from(parent.childNodes).filter((node): node is Element => node.nodeType === 1)
  return name === undefined ? elements : elements.filter(({ localName }) => localName === name)
}

export function descendantsOf(parent: Document | Element, name: string): Element[] {
  return Array.from(parent.getElementsByTagNameNS('*', name))
}

/** The text of a child, without blanks around it; '' where there is none. */
export function textOf(parent: Element, name: string): string {
  return childrenOf(parent, name)[0]?.textContent?.trim() ?? ''
}

/** `lon,lat[,height]`, with blanks between. */
export function tuplesOf(text: string): Position[] {
  return text.split(/\s+/).filter((each) => each !== '').map((each) => each.split(',').slice(0, 2).map(Number))
}
