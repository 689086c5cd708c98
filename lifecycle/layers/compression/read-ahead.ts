/**
 * Reads the first `count` bytes or more, or all if there are fewer. `all` gives the same bytes from the start. Always read
 * it to the end, or call `return`: both close the source.
 */
export async function readAhead(
  bytes: AsyncIterable<Uint8Array>,
  count: number,
): Promise<{ ended: boolean; all: AsyncIterable<Uint8Array> }> {
  const source = bytes[Symbol.asyncIterator]()
  const head: Uint8Array[] = []
  for (let size = 0; size < count;) {
    const next = await source.next()
    if (next.done === true) return { ended: true, all: joined(head, source) }
    head.push(next.value)
    size += next.value.length
  }
  return { ended: false, all: joined(head, source) }
}

/** The bytes that were read from a source, followed by the rest. */
async function* joined(head: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* head
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}
