import type { Reporter } from '../events.ts'
import { type Image, sizeOf } from '../image/image.ts'
import { copyToAll } from '../stores/copy.ts'
import { asPublished, keyOf, parseDestination, displayName } from '../stores/destination.ts'
import type { Destination } from '../stores/open.ts'

/** What a user calls the places that an image goes to, those of one store together: as `Stores.destinations` has them. */
export function displayNames(texts: readonly string[], publish: boolean): string[][] {
  const byStore = new Map<string, Set<string>>()
  for (const text of texts) {
    const place = asPublished(parseDestination(text), publish)
    const names = byStore.get(keyOf(place)) ?? new Set()
    byStore.set(keyOf(place), names.add(displayName(place)))
  }
  return [...byStore.values()].map(names => [...names])
}

/** A store knows the names that it gave; the user is told those that were written. */
export function withDisplayNames(names: readonly string[], reporter: Reporter): Reporter {
  return {
    event: event => reporter.event(event.type === 'saved' ? { ...event, names: [...names] } : event),
    drained: () => reporter.drained?.(),
    close: () => reporter.close(),
  }
}

/** Puts an image that was just saved in other places too, and tells of each; all names that it has there. */
export function publishElsewhere(
  image: Image,
  places: readonly Destination[],
  { names, reporter }: { readonly names: readonly (readonly string[])[]; readonly reporter: Reporter },
  signal?: AbortSignal,
): Promise<string[]> {
  return copyToAll(image, places, signal, (copied, index) => {
    const { digest, imageId } = copied.published
    reporter.event({ type: 'saved', names: [...(names[index] ?? [])], digest, imageId, size: sizeOf(copied.image) })
  })
}
