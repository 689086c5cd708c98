import { AwsV4Signer } from 'aws4fetch'
import { BaleError } from '../../errors.ts'
import { Secrets } from '../../stores/registry/redact.ts'
import { type HttpAccess, parseUrl, requestStorage } from './http.ts'
import type { ObjectStorage } from './storage.ts'

export interface S3Options extends HttpAccess {
  readonly bucket: string
  readonly region: string
  /** The URL of a server other than Amazon's: `http://127.0.0.1:9000`. Then the bucket is part of the path. */
  readonly endpoint?: string | undefined
  /** The prefix of every key. */
  readonly prefix?: string | undefined
  readonly credentials: S3Credentials
  /** Milliseconds after which a rule of the bucket deletes objects. */
  readonly timeToLive?: number | undefined
}

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/** Objects in a bucket of Amazon S3, or of a server with the same interface; signed with AWS Signature Version 4. */
export function s3Storage(options: S3Options): ObjectStorage {
  const { bucket, region, endpoint, prefix = '', credentials, timeToLive } = options
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket))
    throw new BaleError('arguments', `${JSON.stringify(bucket.slice(0, 100))} is not the name of a bucket`)
  const host = parseUrl(endpoint ?? `https://${bucket}.s3.${region}.amazonaws.com`)
  const base = new URL(host)
  base.pathname = [host.pathname, endpoint === undefined ? '' : bucket, prefix].join('/').replaceAll(/\/+/g, '/')
  const secrets = new Secrets()
  secrets.add(secretAccessKey, sessionToken ?? '')
  return requestStorage(base, {
    ...options,
    timeToLive,
    description: `cache s3://${[bucket, prefix].filter(Boolean).join('/')}`,
    secrets,
    async authorize({ method, url, body }) {
      const signer = new AwsV4Signer({
        method,
        url: url.href,
        service: 's3',
        region,
        accessKeyId,
        secretAccessKey,
        ...(sessionToken !== undefined && { sessionToken }),
        ...(body !== undefined && { body: body as Uint8Array<ArrayBuffer> }),
      })
      const { headers } = await signer.sign()
      return Object.fromEntries(headers.entries())
    },
  })
}
