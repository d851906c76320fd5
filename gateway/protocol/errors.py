"""S3's errors: one catalogue of codes, and the exception that carries one of them.

Codes are spelt as S3 spells them. Statuses and messages: Amazon S3 API Reference, "Error responses", and recorded
replies where the reference is silent. The KMS.* codes are how S3 passes on what the key service answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CATALOGUE: dict[str, tuple[int, str]] = {
    # 304
    "NotModified": (304, "Not Modified"),
    # 307
    "TemporaryRedirect": (307, "Please re-send this request to the specified temporary endpoint."),
    # 400: names, addresses, headers
    "AuthorizationHeaderMalformed": (400, "The authorization header you provided is invalid."),
    "AuthorizationQueryParametersError": (400, "Error parsing the query-string authentication parameters."),
    "AccessControlListNotSupported": (400, "The bucket does not allow ACLs"),
    "BadDigest": (400, "The Content-MD5 you specified did not match what we received."),
    "BadRequest": (400, "An error occurred when parsing the HTTP request."),
    "EntityTooLarge": (400, "Your proposed upload exceeds the maximum allowed size"),
    "EntityTooSmall": (400, "Your proposed upload is smaller than the minimum allowed size"),
    "ExpiredToken": (400, "The provided token has expired."),
    "IllegalLocationConstraintException": (
        400,
        "The unspecified location constraint is incompatible for the region specific endpoint this request was sent "
        "to.",
    ),
    "IllegalVersioningConfigurationException": (400, "The Versioning element must be specified"),
    "IdempotencyParameterMismatch": (
        400,
        "The client token was used by a request with other parameters.",
    ),
    "IncompleteBody": (400, "The request body terminated unexpectedly"),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidBucketAclWithObjectOwnership": (
        400,
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
    ),
    "InvalidBucketOwnerAWSAccountID": (
        400,
        "The value of the expected bucket owner parameter must be an AWS Account ID.",
    ),
    "InvalidBucketName": (400, "The specified bucket is not valid."),
    "InvalidChunkSizeError": (400, "Only the last chunk is allowed to have a size less than 8192 bytes"),
    "InvalidDigest": (400, "The Content-MD5 you specified was invalid."),
    "InvalidEncryptionAlgorithmError": (
        400,
        "The Encryption request you specified is not valid. Supported value: AES256.",
    ),
    "InvalidLocationConstraint": (400, "The specified location-constraint is not valid"),
    "InvalidPart": (
        400,
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified "
        "entity tag may not match the part's entity tag.",
    ),
    "InvalidPartOrder": (400, "The list of parts was not in ascending order. Parts must be ordered by part number."),
    "InvalidPolicyDocument": (
        400,
        "The content of the form does not meet the conditions specified in the policy document.",
    ),
    "InvalidRedirectLocation": (
        400,
        "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
    ),
    "InvalidRequest": (400, "Invalid Request"),
    "InvalidStorageClass": (400, "The storage class you specified is not valid"),
    "InvalidTag": (400, "The tag provided was not a valid tag."),
    "InvalidToken": (400, "The provided token is malformed or otherwise invalid."),
    "InvalidURI": (400, "Couldn't parse the specified URI."),
    "KeyTooLongError": (400, "Your key is too long"),
    "MalformedACLError": (
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    "MalformedPOSTRequest": (400, "The body of your POST request is not well-formed multipart/form-data."),
    "MalformedPolicy": (400, "Policies must be valid JSON."),
    "MalformedTrailerError": (
        400,
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
    ),
    "MalformedXML": (400, "The XML you provided was not well-formed or did not validate against our published schema"),
    "MaxMessageLengthExceeded": (400, "Your request was too big."),
    "MaxPostPreDataLengthExceeded": (400, "Your POST request fields preceding the upload file were too large."),
    "MetadataTooLarge": (400, "Your metadata headers exceed the maximum allowed metadata size"),
    "MissingAuthenticationToken": (400, "The request was not signed."),
    "MissingRequestBodyError": (400, "Request Body is empty"),
    "MissingSecurityHeader": (400, "Your request was missing a required header"),
    "RequestHeaderSectionTooLarge": (
        400,
        "Your request header section exceeds the maximum allowed request header section size.",
    ),
    "RequestTimeout": (
        400,
        "Your socket connection to the server was not read from or written to within the timeout period. Idle "
        "connections will be closed.",
    ),
    "TooManyBuckets": (400, "You have attempted to create more buckets than allowed"),
    "UnresolvableGrantByEmailAddress": (
        400,
        "The e-mail address you provided does not match any account on record.",
    ),
    "UnexpectedContent": (400, "This request does not support content"),
    "XAmzContentSHA256Mismatch": (400, "The provided 'x-amz-content-sha256' header does not match what was computed."),
    "KMS.DisabledException": (400, "The request was rejected because the specified KMS key is not enabled."),
    "KMS.InvalidKeyUsageException": (400, "The KMS key's usage does not permit this operation."),
    "KMS.KMSInvalidStateException": (400, "The state of the KMS key does not permit this operation."),
    "KMS.NotFoundException": (400, "The KMS key could not be found."),
    "KMS.UnsupportedOperationException": (400, "The KMS key does not support this operation."),
    # S3 Control: 400, 404, 429
    "BadRequestException": (400, "The request is not valid."),
    "IdempotencyException": (400, "The request was made before with other parameters."),
    "InvalidNextTokenException": (400, "The continuation token provided is incorrect."),
    "InvalidRequestException": (400, "The request is not valid."),
    "JobStatusException": (400, "The job is not in a status that allows this."),
    "NotFoundException": (404, "The specified resource does not exist."),
    "TooManyRequestsException": (429, "Too many requests."),
    # 403
    "AccessDenied": (403, "Access Denied"),
    "AccessForbidden": (403, "CORSResponse: This CORS request is not allowed."),
    "AllAccessDisabled": (403, "All access to this resource has been disabled."),
    "InvalidAccessKeyId": (403, "The AWS Access Key Id you provided does not exist in our records."),
    "InvalidObjectState": (403, "The operation is not valid for the object's storage class"),
    "RequestTimeTooSkewed": (
        403,
        "The difference between the request time and the current time is too large.",
    ),
    "SignatureDoesNotMatch": (
        403,
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method.",
    ),
    # 404
    "MetadataConfigurationNotFound": (404, "The metadata configuration does not exist"),
    "NoSuchBucket": (404, "The specified bucket does not exist"),
    "NoSuchBucketPolicy": (404, "The bucket policy does not exist"),
    "NoSuchCORSConfiguration": (404, "The CORS configuration does not exist"),
    "NoSuchConfiguration": (404, "The specified configuration does not exist."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NoSuchLifecycleConfiguration": (404, "The lifecycle configuration does not exist"),
    "NoSuchPublicAccessBlockConfiguration": (404, "The public access block configuration was not found"),
    "NoSuchTagSet": (404, "The TagSet does not exist"),
    "NoSuchUpload": (
        404,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
    ),
    "NoSuchVersion": (404, "The specified version does not exist."),
    "NoSuchWebsiteConfiguration": (404, "The specified bucket does not have a website configuration"),
    "ObjectLockConfigurationNotFoundError": (404, "Object Lock configuration does not exist for this bucket"),
    "ReplicationConfigurationNotFoundError": (404, "The replication configuration was not found"),
    "OwnershipControlsNotFoundError": (404, "The bucket ownership controls were not found"),
    "ServerSideEncryptionConfigurationNotFoundError": (
        404,
        "The server side encryption configuration was not found",
    ),
    # 405, 409, 411, 412, 416
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "BucketAlreadyExists": (
        409,
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please "
        "select a different name and try again.",
    ),
    "BucketAlreadyOwnedByYou": (
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ),
    "BucketNotEmpty": (409, "The bucket you tried to delete is not empty"),
    "ConditionalRequestConflict": (
        409,
        "The conditional request cannot succeed due to a conflicting operation against this resource.",
    ),
    "InvalidBucketState": (409, "The request is not valid with the current state of the bucket."),
    "OperationAborted": (
        409,
        "A conflicting conditional operation is currently in progress against this resource. Please try again.",
    ),
    "MissingContentLength": (411, "You must provide the Content-Length HTTP header."),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold"),
    "InvalidRange": (416, "The requested range is not satisfiable"),
    "InvalidPartNumber": (416, "The requested partnumber is not satisfiable"),
    # 5xx
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "NotImplemented": (501, "A header you provided implies functionality that is not implemented"),
    "ServiceUnavailable": (503, "Service is unable to handle request."),
    "SlowDown": (503, "Please reduce your request rate."),
}
"""Code → (HTTP status, default message)."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


class S3Error(Exception):
    """A refusal in S3's words.

    `fields` are further elements of the error document, in order (`BucketName`, `ArgumentName`, …); `headers` are added
    to the response (Retry-After). A code that is not in the catalogue is a mistake of the program: KeyError.
    `decided_by` and `reason` are never sent: what rule decided, and in a sentence why, for the access log.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        decided_by: str | None = None,
        reason: str | None = None,
    ) -> None:
        status, default = CATALOGUE[code]
        self.code = code
        self.status = status
        self.message = default if message is None else message
        self.fields = _NOTHING if fields is None else fields
        self.headers = _NOTHING if headers is None else headers
        self.decided_by = decided_by
        self.reason = reason
        super().__init__(f"{code}: {self.message}")


def invalid_argument(name: str, value: str, message: str | None = None) -> S3Error:
    """InvalidArgument with the argument named as S3 names it, its value cut to what a reply may carry."""
    return S3Error("InvalidArgument", message, fields={"ArgumentName": name, "ArgumentValue": value[:256]})


def not_implemented(header: str, message: str | None = None) -> S3Error:
    """NotImplemented for a header (or for one of its values) that means something this gateway does not do yet."""
    return S3Error("NotImplemented", message, fields={"Header": header})
