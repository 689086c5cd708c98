import { parentPort } from 'node:worker_threads'
import { receiveBytes, sendBytes } from '../workers/byte-channel.ts'
import { decode } from './decode.ts'
import type { Job } from './decompress-threads.ts'

/** The most blocks of about 1 MiB to decompress ahead of the reader. */
const mostOut = 8

// The program of a worker thread. It decompresses layers; bytes come and go over two ports.
parentPort?.on('message', ({ compression, options, from, to }: Job) => {
  void sendBytes(to, decode(receiveBytes(from), compression, options), mostOut)
})
