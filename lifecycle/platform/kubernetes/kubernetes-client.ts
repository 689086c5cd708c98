/**
 * The parts of Kubernetes' client library that builds on a cluster use: kubeconfigs with their certificates, tokens, plug-ins for
 * logging in and proxies, and the fetch of the undici whose dispatchers it makes. Import this file dynamically; see
 * scripts/bundle.mjs.
 */
export { HttpMethod, KubeConfig, RequestContext } from '@kubernetes/client-node'
export { fetch } from 'undici'
