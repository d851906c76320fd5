// The AWS SDK for JavaScript, version 3: a tree up and down, a multipart upload of a stream, paging, presigned URLs, deletion.
import assert from "node:assert/strict";
import { createReadStream, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Readable } from "node:stream";
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const [bucket, tree, down] = process.argv.slice(2);
const client = new S3Client({ endpoint: process.env.AWS_ENDPOINT_URL, region: "us-east-1", forcePathStyle: true });

async function listed(prefix) {
  const found = new Map();
  for await (const page of paginateListObjectsV2({ client, pageSize: 2 }, { Bucket: bucket, Prefix: prefix })) {
    for (const each of page.Contents ?? []) found.set(each.Key, each.Size);
  }
  return found;
}

const files = readdirSync(tree, { recursive: true }).filter((name) => statSync(join(tree, name)).isFile());
for (const name of files) {
  const path = join(tree, name);
  await client.send(
    new PutObjectCommand({
      Bucket: bucket, Key: `tree/${name}`, Body: createReadStream(path), ContentLength: statSync(path).size,
    }),
  );
}
assert.deepEqual(await listed("tree/"), new Map(files.map((n) => [`tree/${n}`, statSync(join(tree, n)).size]).sort((a, b) => Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0])))));
for (const name of files) {
  const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: `tree/${name}` }));
  mkdirSync(dirname(join(down, name)), { recursive: true });
  writeFileSync(join(down, name), await Body.transformToByteArray());
}

const block = Buffer.alloc(1 << 20, "0123456789abcdef");
const upload = new Upload({
  client,
  params: { Bucket: bucket, Key: "streamed", Body: Readable.from(Array(11).fill(block)), Metadata: { colour: "blue" } },
  partSize: 5 << 20,
});
await upload.done();
const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: "streamed" }));
assert.equal(head.ContentLength, 11 << 20);
assert.equal(head.Metadata.colour, "blue");
assert.equal(head.ServerSideEncryption, "aws:kms");
const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: "streamed" }), { expiresIn: 60 });
const response = await fetch(url, { headers: { Range: `bytes=${7 << 20}-${(8 << 20) - 1}` } });
assert.equal(response.status, 206);
assert.ok(Buffer.from(await response.arrayBuffer()).equals(block));

const Objects = [...(await listed("")).keys()].map((Key) => ({ Key }));
const deleted = await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects } }));
assert.equal(deleted.Deleted.length, Objects.length);
assert.equal((await listed("")).size, 0);
