import { describe, expect, it } from 'vitest'
import { parseClusterSettings } from '../../../lifecycle/platform/kubernetes/settings.ts'
import { parsePlace } from '../../../lifecycle/platform/kubernetes/place.ts'

const whole = `
builder: registry.example.com/builder:1
serviceAccount: builds
imagePullSecrets: [pull]
imagePullPolicy: Always
registrySecret: registry
gitSecret: git
resources:
  requests: {cpu: 500m, memory: 1Gi}
  limits: {cpu: 2, memory: 4Gi, ephemeral-storage: 10Gi}
nodeSelector: {kubernetes.io/arch: amd64}
tolerations: [{key: builds, operator: Equal, value: "yes", effect: NoSchedule, tolerationSeconds: 60}]
priorityClass: low
cache: {claim: builds}
ttl: 10m
queue: team
labels: {team: a}
user: {uid: 1001, gid: 1002}
`

describe('the settings file of a cluster', () => {
  it('has these keys', async () => {
    const settings = await parseClusterSettings(whole, 'cluster.yaml')
    expect(settings).toMatchObject({ ttl: 600, resources: { limits: { cpu: '2' } }, user: { uid: 1001, gid: 1002 } })
    expect(await parseClusterSettings('', 'cluster.yaml')).toEqual({})
  })

  it.each([
    ['bilder: x', 'bilder', /no such key/, /use one of: builder, serviceAccount/],
    ['resources: {limits: {gpu: 1}}', 'resources.limits.gpu', /no such key/, /cpu, memory, ephemeral-storage/],
    ['tolerations: [{key: a, efect: b}]', 'tolerations.0.efect', /no such key/, /key, operator, value, effect/],
    ['resources: 3', 'resources', /not a map/, /requests, limits/],
    ['resources: {limits: {cpu: lots}}', 'resources.limits.cpu', /not a quantity/, /500m/],
    ['tolerations: [{effect: b}]', 'tolerations.0.effect', /not an effect/, /NoSchedule/],
    ['builder: 3', 'builder', /not a string/, /name of an image/],
    ['builder: UPPER/case', 'builder', /not a valid image name/, /registry/],
    ['imagePullSecrets: pull', 'imagePullSecrets', /not a list/, /./],
    ['imagePullPolicy: Sometimes', 'imagePullPolicy', /not a policy/, /Always/],
    ['serviceAccount: A_B', 'serviceAccount', /not a valid object name/, /lowercase/],
    ['nodeSelector: {a: 1}', 'nodeSelector.a', /not a string/, /quotes/],
    ['labels: {a: "b c"}', 'labels.a', /not a valid label value/, /./],
    ['cache: {}', 'cache', /a claim or an image/, /one of them/],
    ['cache: {claim: a, image: r.test/c}', 'cache', /a claim or an image/, /one of them/],
    ['user: {uid: 0, gid: 1}', 'user.uid', /cannot run as root/, /1 or more/],
    ['user: {uid: 5}', 'user.gid', /missing/, /./],
    ['ttl: soon', 'ttl', /not a duration/, /10m/],
  ])('%s is refused with its place', async (text, path, message, fix) => {
    await expect(parseClusterSettings(text, 'cluster.yaml')).rejects.toMatchObject({
      code: 'input',
      where: `cluster.yaml ${path}`,
      message: expect.stringMatching(message) as string,
      fix: expect.stringMatching(fix) as string,
    })
  })

  it('that is not YAML is refused with its line', async () => {
    await expect(parseClusterSettings('builder: a\nttl: [', 'cluster.yaml')).rejects.toMatchObject({
      where: expect.stringMatching(/^cluster\.yaml:[23]$/) as string,
      message: expect.stringMatching(/not YAML/) as string,
    })
  })
})

describe('--on', () => {
  it.each([
    ['kubernetes', {}],
    ['kubernetes:prod', { context: 'prod' }],
    ['kubernetes:prod/builds', { context: 'prod', namespace: 'builds' }],
    ['kubernetes:/builds', { namespace: 'builds' }],
    ['kubernetes:arn:aws:eks:eu:1:cluster/x/builds', { context: 'arn:aws:eks:eu:1:cluster/x', namespace: 'builds' }],
  ])('%s', (text, place) => {
    expect(parsePlace(text)).toEqual(place)
  })

  it('takes the name of a context as it is, slash and all', () => {
    const name = 'arn:aws:eks:eu:1:cluster/x'
    expect(parsePlace(`kubernetes:${name}`, [name])).toEqual({ context: name })
  })

  it.each(['docker', 'kubernetes:', 'kubernetesx', 'kubernetes:a/B', 'kubernetes:a/', ''])('%j is refused', text => {
    expect(() => parsePlace(text)).toThrow(expect.objectContaining({ code: 'usage', where: '--on' }) as Error)
  })
})
