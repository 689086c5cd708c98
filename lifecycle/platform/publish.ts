import type { Reporter } from '../events.ts'
import { type Image, sizeOf } from '../image/image.ts'
import { copyToAll } from '../stores/copy.ts'
import type { Destination } from '../stores/open.ts'

/** Reports names in the user's notation instead of the store's. */
export function withDisplayNames({ displayNames }: Destination, reporter: Reporter): Reporter {
  return {
    event: event =>
      reporter.event(event.type === 'saved' ? { ...event, names: shownNames(displayNames, event.names) } : event),
    drained: () => reporter.drained?.(),
    close: () => reporter.close(),
  }
}

/** The user's names or, if a registry gave one of them to another image, the names that the image really has. */
const shownNames = (wanted: readonly string[], given: readonly string[]): string[] =>
  given.some(name => name.includes('@')) ? [...given] : [...wanted]

/** Copies an image that was just saved to further destinations, and reports each. @returns its names at those destinations */
export function publishElsewhere(
  image: Image,
  destinations: readonly Destination[],
  reporter: Reporter,
  signal?: AbortSignal,
): Promise<string[]> {
  return copyToAll(image, destinations, signal, (copied, index) => {
    const { digest, imageId } = copied.published
    const names = shownNames(destinations[index]?.displayNames ?? [], copied.published.names)
    reporter.event({ type: 'saved', names, digest, imageId, size: sizeOf(copied.image) })
  })
}
