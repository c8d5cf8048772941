/** What a key may do, by resource. Writing includes reading. */
export interface ScopedResource {
  name: string
  actions: readonly string[]
}

/** Scopes such as `assets:read` by their resources, without those that stand for all resources. */
export function byResource(scopes: readonly string[]): ScopedResource[] {
  const actions = new Map<string, string[]>()
  for (const scope of scopes) {
    const [name, action] = scope.split(':') as [string, string]
    if (name !== '*') actions.set(name, [...(actions.get(name) ?? []), action])
  }
  return [...actions].map(([name, actions]) => ({ name, actions }))
}
