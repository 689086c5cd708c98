// Certificate authorities of this machine, for programs that use the network through a proxy that intercepts TLS.

const variables = [
  'CARGO_HTTP_CAINFO',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'NODE_EXTRA_CA_CERTS',
  'PIP_CERT',
  'SSL_CERT_FILE',
]

/** The variables by which package clients find a PEM bundle. */
export const bundleVariables = (path: string): Record<string, string> =>
  Object.fromEntries(variables.map(name => [name, path]))
