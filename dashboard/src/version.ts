/** The version of the page: it stands in the foot, and in reports of errors. */
export const VERSION =
  document.querySelector<HTMLMetaElement>('meta[name=application-version]')?.content ?? ''
