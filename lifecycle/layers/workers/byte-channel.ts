import type { MessagePort } from 'node:worker_threads'
import { BaleError, type ErrorCode } from '../../errors.ts'
import { type Block, blockBuffers } from './block-buffers.ts'

// Sends bytes from one thread to another over a port, in shared blocks that come back when they have been read. Nothing
// becomes garbage, and only a few blocks are in flight. Either side ends it by closing its port.

type Message =
  | { readonly kind: 'block'; readonly block: Block }
  | { readonly kind: 'end' }
  | { readonly kind: 'failure'; readonly failure: Failure }

/** The parts of an error that can be sent. */
interface Failure {
  readonly code: ErrorCode
  readonly message: string
  readonly where: string | undefined
  readonly fix: string | undefined
  readonly cause: string | undefined
}

/** The outcome of sending: all bytes were sent, the reader stopped, or the source threw. */
export type Sent = { readonly state: 'ended' } | { readonly state: 'failed'; readonly failure: unknown }

/** The thread at the other end has ended. */
export class Broken extends Error {}

/**
 * Sends bytes. An error that they throw is thrown at the other end.
 * @param most blocks that are in flight
 */
export async function sendBytes(port: MessagePort, bytes: AsyncIterable<Uint8Array>, most: number): Promise<Sent> {
  const post = (message: Message): void => port.postMessage(message)
  let [underWay, closed] = [0, false]
  let wake = (): void => {}
  port.on('message', (block: Block) => {
    blockBuffers.put(block)
    underWay--
    wake()
  })
  port.on('close', () => {
    closed = true
    wake()
  })
  port.unref() // the reader keeps the process alive
  try {
    for await (const block of inBlocks(bytes)) {
      while (underWay === most && !closed) await new Promise<void>(resolve => (wake = resolve))
      if (closed) return { state: 'ended' }
      underWay++
      post({ kind: 'block', block })
    }
    post({ kind: 'end' })
    return { state: 'ended' }
  } catch (error) {
    post({ kind: 'failure', failure: failureOf(error) })
    return { state: 'failed', failure: error }
  }
}

/**
 * Receives the bytes. Each chunk is valid until the next one is requested.
 * @throws the sender's error, as far as it can be sent; Broken
 */
export async function* receiveBytes(port: MessagePort): AsyncGenerator<Uint8Array> {
  const messages: Message[] = []
  let closed = false
  let wake = (): void => {}
  port.on('message', (message: Message) => {
    messages.push(message)
    wake()
  })
  port.on('close', () => {
    closed = true
    wake()
  })
  port.unref()
  try {
    for (;;) {
      const [message] = messages
      if (message === undefined) {
        if (closed) throw new Broken('it has ended')
        port.ref()
        await new Promise<void>(resolve => (wake = resolve))
        port.unref()
      } else if (message.kind === 'block') {
        yield message.block
        messages.shift()
        port.postMessage(message.block)
      } else if (message.kind === 'failure') {
        throw errorOf(message.failure)
      } else {
        return
      }
    }
  } finally {
    for (const message of messages) if (message.kind === 'block') port.postMessage(message.block)
    port.close()
  }
}

/** Regroups chunks of any size into full blocks and a last one. */
async function* inBlocks(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Block> {
  let block = blockBuffers.take()
  let used = 0
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + block.length - used)
      block.set(part, used)
      used += part.length
      at += part.length
      if (used < block.length) continue
      yield block
      block = blockBuffers.take()
      used = 0
    }
  }
  if (used > 0) yield block.subarray(0, used)
  else blockBuffers.put(block)
}

function failureOf(error: unknown): Failure {
  const { code, message, where, fix, cause } =
    error instanceof BaleError ? error : new BaleError('failed', String(error), { cause: error })
  return { code, message, where, fix, cause: cause instanceof Error ? cause.message : undefined }
}

function errorOf({ code, message, where, fix, cause }: Failure): BaleError {
  return new BaleError(code, message, {
    where,
    fix,
    ...(cause !== undefined && { cause: new Error(cause) }),
  })
}
