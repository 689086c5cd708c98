import { performance } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { BaleError, type PhaseName, inPhase, isErrno } from '../../errors.ts'
import { parseTrustedEvent } from '../../event-stream.ts'
import type { Reporter } from '../../events.ts'
import { type RunLimits, explainPhase, longestEvent, readPhase } from '../../phase-runner.ts'
import { lines } from '../../phases/run-executable.ts'
import { type ClusterApi, Refused } from './api-client.ts'
import { type Observation, explainEnd, nodeIsSilent, troubleOf } from './failures.ts'
import { type Step, isUntrusted, steps } from './cluster-build.ts'
import {
  type ContainerState,
  type Pod,
  event as clusterEvent,
  job as jobSchema,
  listOf,
  pod as podSchema,
} from './objects.ts'

/** Milliseconds between looks at the pod. */
const pause = 700
/** How long a log may be unreadable because the node does not answer the cluster, in milliseconds. */
const unreadFor = 90_000

/**
 * Follows the pod of a Job from phase to phase and reports their events, as if the phases ran here.
 * @returns the termination message of the last container: report.toml
 * @throws BaleError the phase's own error, or the cluster's
 */
export async function followJob(
  api: ClusterApi,
  job: string,
  { reporter, limits }: { readonly reporter: Reporter; readonly limits: RunLimits },
  signal: AbortSignal,
): Promise<string> {
  const watch = new PodWatch(api, job, reporter, signal)
  let report = ''
  for (const step of steps) {
    const state = await (step === 'source'
      ? followStep(watch, step, reporter, limits)
      : inPhase(step, () =>
          timed(
            step,
            reporter,
            () => followStep(watch, step, reporter, limits),
            () => watch.started(step),
          ),
        ))
    report = state.message ?? ''
  }
  return report
}

async function timed(
  phase: PhaseName,
  reporter: Reporter,
  run: () => Promise<Ended>,
  started: () => Promise<unknown>,
): Promise<Ended> {
  await started()
  const from = performance.now()
  reporter.event({ type: 'phase-started', phase })
  const result = await run()
  reporter.event({ type: 'phase-finished', phase, milliseconds: timeOf(result, performance.now() - from) })
  return result
}

/**
 * How long a container ran, in milliseconds. The node counts whole seconds. The time seen here is exact, but too short if the
 * container's start was noticed late.
 */
function timeOf({ startedAt, finishedAt }: Ended, seen: number): number {
  const told = Date.parse(finishedAt ?? '') - Date.parse(startedAt ?? '')
  return told - 1000 > seen ? told : seen
}

type Ended = NonNullable<ContainerState['terminated']>

async function followStep(watch: PodWatch, step: Step, reporter: Reporter, limits: RunLimits): Promise<Ended> {
  const pod = await watch.started(step)
  if (step === 'source') {
    const where = pod.spec.nodeName === undefined ? '' : ` on node ${pod.spec.nodeName}`
    reporter.event({
      type: 'note',
      level: 'info',
      text: `Building in pod ${watch.api.namespace}/${pod.metadata.name}${where}`,
    })
  }
  if (isUntrusted(step)) {
    using output = readPhase(reporter, limits)
    const ended = await watch.follow(step, output.line, output.signal)
    if (ended.exitCode === 0) return ended
    await watch.lookOnce()
    // The phase reports a buildpack that was killed for lack of memory as failed.
    if (ended.reason !== undefined && ended.reason !== 'Error') throw explainEnd(step, ended)
    throw explainPhase(step, { code: ended.exitCode }, output.failure)
  }
  const failure: { error?: BaleError } = {}
  const ended = await watch.follow(step, line => trustedLine(line, step, reporter, failure))
  if (ended.exitCode === 0) return ended
  await watch.lookOnce()
  throw failure.error ?? explainEnd(step, ended)
}

function trustedLine(line: string, step: Step, reporter: Reporter, failure: { error?: BaleError }): void {
  const event = parseTrustedEvent(line)
  if (event?.type === 'failed') {
    const { code, message, where, fix } = event
    failure.error = new BaleError(code, message, {
      ...(where !== undefined && { where }),
      ...(fix !== undefined && { fix }),
    })
  } else if (event !== undefined) reporter.event(event)
  // `bale source` reports its text as events, too.
  else if (step !== 'source') reporter.event({ type: 'output', stream: 'stdout', text: line })
}

/** Polls the pod of a Job until a container reaches a state, or until the build cannot succeed any more. */
class PodWatch {
  readonly api: ClusterApi
  readonly #job: string
  readonly #reporter: Reporter
  readonly #signal: AbortSignal
  /** What blocks the build, and since when. */
  #waiting: { readonly why: string; readonly since: number } | undefined
  #mayReadEvents = true

  constructor(api: ClusterApi, job: string, reporter: Reporter, signal: AbortSignal) {
    this.api = api
    this.#job = job
    this.#reporter = reporter
    this.#signal = signal
  }

  /** Resolves with the pod when the container runs or has run. */
  async started(step: Step): Promise<Pod> {
    for (;;) {
      const pod = await this.#look(this.#signal)
      const state = pod && stateOf(pod, step)
      if (pod !== undefined && (state?.running !== undefined || state?.terminated !== undefined)) return pod
      await setTimeout(pause, undefined, { signal: this.#signal })
    }
  }

  /** Throws if the pod is lost. That explains more than the end of one of its containers. */
  async lookOnce(): Promise<void> {
    await this.#look(this.#signal)
  }

  /** Passes on every line of a container's log, and returns how the container ended. @param limit stops the wait when aborted */
  async follow(step: Step, onLine: (line: string) => void, limit?: AbortSignal): Promise<Ended> {
    const stop = new AbortController()
    const signal = AbortSignal.any([this.#signal, stop.signal, ...(limit === undefined ? [] : [limit])])
    const reading = this.#read(step, onLine, signal)
    // A lost node does not close its connections, so the pod is polled meanwhile.
    const looking = this.#lookOn(signal)
    try {
      return await Promise.race([reading, looking])
    } catch (error) {
      throw limit?.aborted === true ? limit.reason : error
    } finally {
      stop.abort()
      await Promise.allSettled([reading, looking])
    }
  }

  async #lookOn(signal: AbortSignal): Promise<never> {
    for (;;) {
      await setTimeout(2 * pause, undefined, { signal }).catch((error: unknown) => {
        throw signal.reason ?? error
      })
      await this.#look(signal)
    }
  }

  async #read(step: Step, onLine: (line: string) => void, signal: AbortSignal): Promise<Ended> {
    const log = new StampedLog(onLine)
    let unread: { readonly since: number } | undefined
    for (let wait = 100; ; wait = Math.min(2 * wait, 2 * pause)) {
      const pod = await this.#look(signal)
      const ended = pod && stateOf(pod, step)?.terminated
      const broken = pod && (await this.#readLog(pod, step, log, signal))
      // Reads once more after the container's end, when the log is complete.
      if (ended !== undefined && pod !== undefined && broken === undefined) return ended
      if (broken === undefined) unread = undefined
      else {
        unread ??= { since: Date.now() }
        // If all nodes are lost, Kubernetes does not remove the pod, and the pod does not show the loss.
        if (pod !== undefined && Date.now() - unread.since > unreadFor) throw nodeIsSilent(pod, broken.message)
      }
      await setTimeout(wait, undefined, { signal })
    }
  }

  /** @returns why the log could not be read to its present end */
  async #readLog(pod: Pod, step: Step, log: StampedLog, signal: AbortSignal): Promise<Error | undefined> {
    const { name } = pod.metadata
    const query = { container: step, follow: 'true', timestamps: 'true', ...log.since() }
    try {
      const path = `${this.api.pathOf('pods', name)}/log`
      for await (const chunk of this.api.stream({ path, query, signal })) {
        log.push(chunk)
        await this.#reporter.drained?.()
      }
      log.end()
      return undefined
    } catch (error) {
      log.broke()
      signal.throwIfAborted()
      if (error instanceof Refused && error.status === 403) throw error
      // The connection to the node may be interrupted. If it stays so, polling the pod finds the reason.
      if (error instanceof BaleError || error instanceof TypeError || isErrno(error)) return error
      throw error
    }
  }

  async #look(signal: AbortSignal): Promise<Pod | undefined> {
    const seen = await this.#observe(signal)
    const trouble = troubleOf(seen)
    if (trouble?.state === 'failed') throw trouble.error
    if (trouble === undefined) this.#waiting = undefined
    else if (this.#waiting?.why !== trouble.why) {
      this.#waiting ??= { why: trouble.why, since: Date.now() }
      this.#waiting = { ...this.#waiting, why: trouble.why }
      this.#reporter.event({ type: 'note', level: 'info', text: `Waiting: ${trouble.why}` })
    } else if (Date.now() - this.#waiting.since > trouble.seconds * 1000) throw trouble.error
    return seen.pod
  }

  async #observe(signal: AbortSignal): Promise<Observation> {
    const job = await this.api
      .read(jobSchema, { path: this.api.pathOf('jobs', this.#job), signal })
      .catch((error: unknown) => {
        if (!(error instanceof Refused) || error.status !== 404) throw error
        throw new BaleError('cluster', 'somebody else deleted the Job', {
          where: `job ${this.#job}`,
          fix: 'build again',
        })
      })
    const query = { labelSelector: `batch.kubernetes.io/job-name=${this.#job}` }
    const { items } = await this.api.read(listOf(podSchema), { path: this.api.pathOf('pods'), query, signal })
    const pod = items[0]
    const isRunning = [...(pod?.status.initContainerStatuses ?? []), ...(pod?.status.containerStatuses ?? [])].some(
      ({ state }) => state.running !== undefined,
    )
    return { job, pod, events: isRunning ? [] : await this.#events(pod?.metadata.name, signal) }
  }

  async #events(pod: string | undefined, signal: AbortSignal) {
    if (!this.#mayReadEvents) return []
    const about = pod ?? this.#job
    const query = { fieldSelector: `involvedObject.name=${about}` }
    try {
      return (await this.api.read(listOf(clusterEvent), { path: this.api.pathOf('events'), query, signal })).items
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 403) throw error
      this.#mayReadEvents = false
      return []
    }
  }
}

function stateOf(pod: Pod, step: Step): ContainerState | undefined {
  const { initContainerStatuses, containerStatuses } = pod.status
  return [...initContainerStatuses, ...containerStatuses].find(({ name }) => name === step)?.state
}

/** RFC 3339: `2026-11-29T10:00:00.123456789Z text`; zeros at the end of the fraction may be left out. */
const stamp = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d) ?/

/** A log whose lines begin with their time, so that reading can continue after a broken connection. */
class StampedLog {
  readonly #onLine: (line: string) => void
  #reader: ReturnType<typeof lines>
  /** The time of the last line that was passed on, and the node's time zone. */
  #last = ''
  #zone = 'Z'

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
    this.#reader = this.#open()
  }

  push(chunk: Uint8Array): void {
    this.#reader.push(Buffer.from(chunk))
  }

  /** Called when the whole log has been read. */
  end(): void {
    this.#reader.end()
  }

  /** Called when the connection has ended, perhaps within a line, which will be read again. */
  broke(): void {
    this.#reader = this.#open()
  }

  /** The API counts in whole seconds, so it sends some lines twice. */
  since(): { sinceTime?: string } {
    return this.#last === '' ? {} : { sinceTime: `${this.#last.slice(0, 19)}${this.#zone}` }
  }

  #open() {
    return lines(line => this.#stamped(line), longestEvent)
  }

  #stamped(line: string): void {
    const [whole, second, fraction = '', zone = 'Z'] = stamp.exec(line) ?? []
    if (whole === undefined) return
    this.#zone = zone
    const at = `${second}.${fraction.padEnd(9, '0')}`
    if (at <= this.#last) return
    this.#last = at
    this.#onLine(line.slice(whole.length))
  }
}
