/** What this browser keeps of a sign-in: the organization, so that it is asked for once. */
const KEY = 'organization'

export function keptOrganization(): string {
  return localStorage.getItem(KEY) ?? ''
}

export function keepOrganization(id: string): void {
  if (id === '') localStorage.removeItem(KEY)
  else localStorage.setItem(KEY, id)
}
