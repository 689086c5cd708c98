/** The version nearest to the one in a text, compared by minor versions, then by patches, of which the last is the newest. */
export function nearest(versions: readonly string[], text: string): string {
  const numbers = (version: string) => version.split('.').map(Number)
  const [major = 0, minor = 0, patch = 99] = numbers(/\d+(?:\.\d+)*/.exec(text)?.[0] ?? '')
  const distance = (version: string) => {
    const [a = 0, b = 0, c = 0] = numbers(version)
    return Math.abs((a - major) * 1000 + b - minor) * 1000 + Math.abs(c - patch)
  }
  return versions.toSorted((a, b) => distance(a) - distance(b))[0] ?? ''
}

/** Orders versions by their numbers, the newest first: `21.0.5+11`, `21.0.4+7`. */
export function newestFirst(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)]
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (right[index] ?? 0) - (left[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const numbersOf = (version: string): number[] => (version.match(/\d+/g) ?? []).map(Number)
