import * as v from 'valibot'

// The fields of API objects that Bale reads (kubernetes.io/docs/reference/kubernetes-api, batch/v1 and core/v1). Others are ignored.

const text = v.optional(v.string())
const condition = v.object({ type: v.string(), status: v.string(), reason: text, message: text })
const state = v.object({
  waiting: v.optional(v.object({ reason: text, message: text })),
  running: v.optional(v.object({ startedAt: v.nullish(v.string()) })),
  terminated: v.optional(
    v.object({
      ...{ exitCode: v.number(), signal: v.optional(v.number()), reason: text, message: text },
      ...{ startedAt: v.nullish(v.string()), finishedAt: v.nullish(v.string()) },
    }),
  ),
})
const container = v.object({ name: v.string(), state: v.optional(state, {}) })
const metadata = v.object({ name: v.string(), uid: v.optional(v.string(), ''), deletionTimestamp: text })

export const job = v.object({
  metadata,
  status: v.optional(v.object({ conditions: v.optional(v.array(condition), []) }), { conditions: [] }),
})
export type ClusterJob = v.InferOutput<typeof job>

export const pod = v.object({
  metadata,
  spec: v.optional(v.object({ nodeName: text }), {}),
  status: v.optional(
    v.object({
      phase: text,
      reason: text,
      message: text,
      conditions: v.optional(v.array(condition), []),
      initContainerStatuses: v.optional(v.array(container), []),
      containerStatuses: v.optional(v.array(container), []),
    }),
    { conditions: [], initContainerStatuses: [], containerStatuses: [] },
  ),
})
export type Pod = v.InferOutput<typeof pod>
export type ContainerState = v.InferOutput<typeof state>

const imagesOf = v.optional(v.array(v.object({ image: v.string() })), [])
const podTemplate = v.object({ spec: v.object({ initContainers: imagesOf, containers: imagesOf }) })

/** The objects with a pod template: apps/v1 Deployment, StatefulSet, DaemonSet; batch/v1 CronJob. */
export const workload = v.object({
  metadata,
  spec: v.object({
    template: v.optional(podTemplate),
    jobTemplate: v.optional(v.object({ spec: v.object({ template: podTemplate }) })),
  }),
})

export const event = v.object({
  reason: text,
  message: text,
  type: text,
  involvedObject: v.object({ kind: text, name: text }),
})
export type ClusterEvent = v.InferOutput<typeof event>

export const listOf = <T>(item: v.GenericSchema<unknown, T>) => v.object({ items: v.array(item) })

/** The body of the API's refusals (meta/v1 Status). */
export const status = v.object({ message: text, reason: text, code: v.optional(v.number()) })
