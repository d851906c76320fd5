# The estate of test_20_estate.py as a person makes it by aws-cli, with an administrator's credentials in the environment.
# Ends by its first command that does not do what it is to do.
set -eu -o pipefail
export AWS_PAGER="" AWS_DEFAULT_OUTPUT=text

# refused CODE COMMAND...: the command fails by this error and no other.
refused() {
    code=$1
    shift
    if told=$("$@" 2>&1); then
        echo "done, where $code was to refuse it: $*" >&2
        return 1
    fi
    case $told in
        *"($code)"*) ;;
        *) echo "$told" >&2; return 1 ;;
    esac
}

# as VARIABLES... -- COMMAND...: with the credentials in these variables of the shell.
as() {
    AWS_ACCESS_KEY_ID=$1 AWS_SECRET_ACCESS_KEY=$2 AWS_SESSION_TOKEN=$3 "${@:4}"
}

account=$(aws sts get-caller-identity --query Account)
bucket=cli-estate-$account

echo "== people"
aws iam create-user --user-name dora --path /people/ --tags Key=Project,Value=estate > /dev/null
read -r dora_id dora_secret <<< "$(aws iam create-access-key --user-name dora --query 'AccessKey.[AccessKeyId,SecretAccessKey]')"
aws iam create-group --group-name deployers > /dev/null
aws iam add-user-to-group --group-name deployers --user-name dora
aws iam get-group --group-name deployers --query 'Users[].UserName'

echo "== roles"
aws iam create-policy --policy-name boundary --query Policy.Arn --policy-document '{"Version": "2012-10-17", "Statement":
    {"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}}' > /dev/null
aws iam create-role --role-name app --permissions-boundary "arn:aws:iam::$account:policy/boundary" \
    --assume-role-policy-document '{"Version": "2012-10-17", "Statement": {"Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::'"$account"':user/people/dora"}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "4711"}}}}' > /dev/null
role=$(aws iam get-role --role-name app --query Role.Arn)
aws iam put-group-policy --group-name deployers --policy-name assume --policy-document '{"Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "'"$role"'"}}'
data=$(aws iam create-policy --policy-name data --query Policy.Arn --policy-document '{"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::'"$bucket"'/app/*"},
    {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]}')
aws iam attach-role-policy --role-name app --policy-arn "$data"
aws iam list-attached-role-policies --role-name app --query 'AttachedPolicies[].PolicyName'

echo "== keys"
key=$(aws kms create-key --tags TagKey=Project,TagValue=estate --query KeyMetadata.Arn --policy '{"Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "'"$account"'"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": "'"$role"'"}, "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
         "Resource": "*", "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}}]}')
aws kms create-alias --alias-name alias/estate --target-key-id "$key"
grant=$(aws kms create-grant --key-id "$key" --grantee-principal "$role" --operations DescribeKey --query GrantId)
aws kms list-grants --key-id "$key" --query 'Grants[].Operations[]'

echo "== buckets"
aws s3api create-bucket --bucket "$bucket" > /dev/null
aws s3api put-bucket-versioning --bucket "$bucket" --versioning-configuration Status=Enabled
aws s3api put-bucket-encryption --bucket "$bucket" --server-side-encryption-configuration '{"Rules":
    [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "'"$key"'"}}]}'
aws s3api put-public-access-block --bucket "$bucket" \
    --public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true
aws s3api put-bucket-policy --bucket "$bucket" --policy '{"Version": "2012-10-17", "Statement": {"Effect": "Deny",
    "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::'"$bucket"'/app/*"}}'
aws s3api get-bucket-encryption --bucket "$bucket" \
    --query 'ServerSideEncryptionConfiguration.Rules[].ApplyServerSideEncryptionByDefault.SSEAlgorithm'

echo "== use"
dora=("$dora_id" "$dora_secret" "")
refused AccessDenied as "${dora[@]}" aws sts assume-role --role-arn "$role" --role-session-name run
refused AccessDenied aws sts assume-role --role-arn "$role" --role-session-name run --external-id 4711
read -r -a app <<< "$(as "${dora[@]}" aws sts assume-role --role-arn "$role" --role-session-name run --external-id 4711 \
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]')"
as "${app[@]}" aws sts get-caller-identity --query Arn
echo "correct horse" | as "${app[@]}" aws s3 cp - "s3://$bucket/app/secret"
as "${app[@]}" aws s3 cp "s3://$bucket/app/secret" -
aws s3api head-object --bucket "$bucket" --key app/secret --query '[ServerSideEncryption,SSEKMSKeyId]'
refused AccessDenied as "${app[@]}" aws s3api put-object --bucket "$bucket" --key other
refused AccessDenied as "${dora[@]}" aws s3api get-object --bucket "$bucket" --key app/secret /dev/null
refused AccessDenied as "${app[@]}" aws iam list-users
refused AccessDenied aws s3api delete-object --bucket "$bucket" --key app/secret
refused AccessDeniedException as "${app[@]}" aws kms generate-data-key --key-id "$key" --key-spec AES_256

echo "== changes"
version=$(aws iam create-policy-version --policy-arn "$data" --set-as-default --query PolicyVersion.VersionId \
    --policy-document '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}')
refused AccessDenied as "${app[@]}" aws s3api get-object --bucket "$bucket" --key app/secret /dev/null
aws iam set-default-policy-version --policy-arn "$data" --version-id v1
aws iam delete-policy-version --policy-arn "$data" --version-id "$version"
as "${app[@]}" aws s3 cp "s3://$bucket/app/secret" -
read -r new_id new_secret <<< "$(aws iam create-access-key --user-name dora --query 'AccessKey.[AccessKeyId,SecretAccessKey]')"
aws iam update-access-key --user-name dora --access-key-id "$dora_id" --status Inactive
refused InvalidClientTokenId as "${dora[@]}" aws sts get-caller-identity
as "$new_id" "$new_secret" "" aws sts get-caller-identity --query Arn

echo "== gone"
aws s3api delete-bucket-policy --bucket "$bucket"
for each in $(aws s3api list-object-versions --bucket "$bucket" --query 'Versions[].VersionId'); do
    aws s3api delete-object --bucket "$bucket" --key app/secret --version-id "$each" > /dev/null
done
aws s3api delete-bucket --bucket "$bucket"
aws kms revoke-grant --key-id "$key" --grant-id "$grant"
aws kms delete-alias --alias-name alias/estate
aws kms schedule-key-deletion --key-id "$key" --pending-window-in-days 7 --query KeyState
refused DeleteConflict aws iam delete-policy --policy-arn "$data"
refused DeleteConflict aws iam delete-role --role-name app
aws iam detach-role-policy --role-name app --policy-arn "$data"
aws iam delete-role --role-name app
aws iam delete-policy --policy-arn "$data"
aws iam delete-policy --policy-arn "arn:aws:iam::$account:policy/boundary"
aws iam delete-group-policy --group-name deployers --policy-name assume
aws iam remove-user-from-group --group-name deployers --user-name dora
aws iam delete-group --group-name deployers
aws iam delete-access-key --user-name dora --access-key-id "$dora_id"
aws iam delete-access-key --user-name dora --access-key-id "$new_id"
aws iam delete-user --user-name dora
refused NoSuchEntity aws iam get-user --user-name dora
