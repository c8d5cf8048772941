import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, ifMatch, tagged, type Schemas, type Tagged } from '../api/client'
import { SHOWS_PEOPLE } from '../live/people'
import { SESSION } from '../session/session'

const ORGANIZATION = ['organization']
export type Organization = Schemas['OrganizationItem']

/** The organization as it was when the page was opened, or last changed here: what somebody else
 *  changes meanwhile is not written over. */
export function useOrganization() {
  return useQuery({
    queryKey: ORGANIZATION,
    queryFn: () => tagged(api.GET('/v1/organization')),
    staleTime: Infinity,
    gcTime: 0, // read anew when the page is opened again
  })
}

/** Changes fields of the organization, of the version that was read with `tag`. */
export function useOrganizationChange(tag: string | null) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (body: Schemas['OrganizationChange']) =>
      tagged(api.PATCH('/v1/organization', { params: { header: ifMatch(tag) }, body })),
    onSuccess: (seen) => {
      queries.setQueryData(ORGANIZATION, seen)
      void queries.invalidateQueries({ queryKey: SESSION }) // which has the language
      queries.setQueryData(SHOWS_PEOPLE, seen.item.shows_employees)
    },
  })
}

/** Reads the organization after its logo was changed. Its forms show what was read before: they get
 *  the new tag only where nothing else is another. */
export function useLogoRefresh() {
  const queries = useQueryClient()
  return async () => {
    const now = await tagged(api.GET('/v1/organization'))
    queries.setQueryData<Tagged<Organization>>(ORGANIZATION, (old) => {
      if (old === undefined) return now
      const { logo_sha256, updated_at } = now.item
      const item = { ...old.item, logo_sha256, updated_at }
      return { item, tag: JSON.stringify(item) === JSON.stringify(now.item) ? now.tag : old.tag }
    })
  }
}
