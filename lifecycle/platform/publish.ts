import type { Reporter } from '../events.ts'
import { type Image, sizeOf } from '../image/image.ts'
import { copyToAll } from '../stores/copy.ts'
import type { Destination } from '../stores/open.ts'

/** Reports names in the user's notation instead of the store's. */
export function withDisplayNames({ displayNames }: Destination, reporter: Reporter): Reporter {
  return {
    event: event => reporter.event(event.type === 'saved' ? { ...event, names: [...displayNames] } : event),
    drained: () => reporter.drained?.(),
    close: () => reporter.close(),
  }
}

/** Copies an image that was just saved to further destinations, and reports each. @returns the names that it has there */
export function publishElsewhere(
  image: Image,
  destinations: readonly Destination[],
  reporter: Reporter,
  signal?: AbortSignal,
): Promise<string[]> {
  return copyToAll(image, destinations, signal, (copied, index) => {
    const { digest, imageId } = copied.published
    const names = [...(destinations[index]?.displayNames ?? [])]
    reporter.event({ type: 'saved', names, digest, imageId, size: sizeOf(copied.image) })
  })
}
