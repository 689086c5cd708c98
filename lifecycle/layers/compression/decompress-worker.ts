import { parentPort } from 'node:worker_threads'
import { receiveBytes, sendBytes } from '../workers/byte-channel.ts'
import { decode } from './decode.ts'
import type { Job } from './decompress-threads.ts'

/** Blocks of about 1 MiB that may be ready before anybody wants them. */
const mostOut = 8

// A thread: it decompresses layers, whose bytes come and go over two ports.
parentPort?.on('message', ({ compression, options, from, to }: Job) => {
  void sendBytes(to, decode(receiveBytes(from), compression, options), mostOut)
})
