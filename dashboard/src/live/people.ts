/** Where employees are, for dispatchers and admins, where their organization shows it. */
import { useQuery } from '@tanstack/react-query'
import { api, data } from '../api/client'
import { useHasRole } from '../session/session'

/** The key of whether the organization shows its employees. */
export const SHOWS_PEOPLE = ['shows-people']

/** Whether the person who is signed in sees employees on the map. */
export function useShowsPeople(): boolean {
  const maySee = useHasRole('dispatcher')
  const { data: shows } = useQuery({
    queryKey: SHOWS_PEOPLE,
    queryFn: async () => (await data(api.GET('/v1/organization'))).shows_employees,
    enabled: maySee,
  })
  return maySee && shows === true
}

/** Whether what has this id is an employee. */
export function isPerson(id: string): boolean {
  return id.startsWith('emp_')
}
