/*
 * The table of kind 1, model: what a record of an AI model may say. Facts about the format only; how a table is read
 * is for record_check.c and record_json.c.
 */
#include "crdt/record_tables.h"

const char *const model_types[] = {"LLM", "Embedding", "Multimodal", "AudioProcessing", "ImageGeneration",
                                   "ComputerVision", "Diffusion", NULL};
const char *const licenses[] = {"MIT", "Apache2", "GPL3", "BSD", "CC_BY", "CC_BY_SA",
                                "CC_BY_NC", "CC_BY_NC_SA", "Proprietary", NULL};
static const char *const frameworks[] = {"PyTorch", "TensorFlow", "ONNX", "JAX", "CoreML", "TensorRT", NULL};
static const char *const quantizations[] = {"FP32", "FP16", "BF16", "INT8", "INT4",
                                            "GPTQ", "GGUF", "AWQ", "GGML", NULL};
static const char *const io_modes[] = {"TextToText", "TextToImage", "ImageToText", "TextToAudio",
                                       "AudioToText", "ImageToImage", NULL};
static const char *const price_units[] = {
    "input_token", "output_token", "image", "audio_minute", "request", "cache_read_token",
    "cache_write_token", "reasoning_token", "input_audio_token", "output_audio_token", NULL};

const struct field_desc price_fields[] = {
    {.name = "unit", .type = FIELD_ENUM, .flags = FIELD_REQUIRED, .values = price_units,
     .about = "What one price is for."},
    {.name = "pico_usd", .type = FIELD_UINT, .flags = FIELD_REQUIRED, .max = INT64_MAX,
     .about = "Price of one unit in pico-USD (10^-12 USD)."},
    {0}};

const struct field_desc moved_fields[] = {
    {.name = "id", .type = FIELD_SHA256, .flags = FIELD_REQUIRED, .about = "Id of the successor, 64 hex digits."},
    {.name = "signature", .type = FIELD_BASE64, .flags = FIELD_REQUIRED, .min = 88, .max = 88,
     .about = "The owner's signature over both ids; souk key retire makes it."},
    {0}};

static const struct field_desc resources[] = {
    {.name = "min_vcpus", .type = FIELD_UINT, .max = UINT8_MAX, .fallback = "1",
     .not_above = "recommended_vcpus", .about = "Virtual CPUs needed at least."},
    {.name = "recommended_vcpus", .type = FIELD_UINT, .max = UINT8_MAX, .fallback = "2",
     .not_below = "min_vcpus", .about = "Virtual CPUs recommended."},
    {.name = "min_memory_mb", .type = FIELD_UINT, .max = UINT32_MAX, .fallback = "1024",
     .not_above = "recommended_memory_mb", .about = "Memory needed at least, in MB."},
    {.name = "recommended_memory_mb", .type = FIELD_UINT, .max = UINT32_MAX, .fallback = "4096",
     .not_below = "min_memory_mb", .about = "Memory recommended, in MB."},
    {.name = "min_disk_gb", .type = FIELD_UINT, .max = UINT32_MAX, .fallback = "10",
     .not_above = "recommended_disk_gb", .about = "Disk space needed at least, in GB."},
    {.name = "recommended_disk_gb", .type = FIELD_UINT, .max = UINT32_MAX, .fallback = "20",
     .not_below = "min_disk_gb", .about = "Disk space recommended, in GB."},
    {.name = "requires_gpu", .type = FIELD_BOOL, .fallback = "false", .about = "Does not run without a GPU."},
    {.name = "min_vram_gb", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = UINT32_MAX, .fallback = "null",
     .about = "GPU memory needed at least, in GB."},
    {.name = "recommended_vram_gb", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = UINT32_MAX,
     .fallback = "null", .not_below = "min_vram_gb", .about = "GPU memory recommended, in GB."},
    {.name = "cuda_cores", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = UINT32_MAX, .fallback = "null",
     .about = "CUDA cores needed."},
    {.name = "tensor_cores", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = UINT32_MAX, .fallback = "null",
     .about = "Tensor cores needed."},
    {.name = "required_cpu_extensions", .type = FIELD_STRING_LIST, .max = RECORD_LIST_MAX,
     .item_max = RECORD_ITEM_MAX, .fallback = "[]", .about = "CPU instruction sets needed, such as avx2."},
    {.name = "required_cuda_version", .type = FIELD_STRING, .flags = FIELD_NULLABLE, .rule = RULE_LINE, .max = 64,
     .fallback = "null", .about = "CUDA version needed."},
    {0}};

static const struct field_desc usage[] = {
    {.name = "track_tokens", .type = FIELD_BOOL, .fallback = "true", .about = "Count tokens."},
    {.name = "track_requests", .type = FIELD_BOOL, .fallback = "true", .about = "Count requests."},
    {.name = "enable_royalties", .type = FIELD_BOOL, .fallback = "false", .about = "Pay royalties to the owner."},
    {.name = "royalty_percentage", .type = FIELD_UINT, .max = 100, .fallback = "0",
     .about = "Share of a payment that goes to the owner, in percent."},
    {.name = "custom_metrics", .type = FIELD_STRING_LIST, .max = RECORD_LIST_MAX, .item_max = RECORD_ITEM_MAX,
     .fallback = "[]", .about = "Names of further metrics to count."},
    {0}};

static const struct field_desc fields[] = {
    {.name = "model_id", .type = FIELD_STRING, .flags = FIELD_BY_NODE, .about = "Entry id, 64 hex digits."},
    {.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_SEARCHABLE, .rule = RULE_LINE, .min = 1,
     .max = MODEL_NAME_MAX, .about = "Name of the model, part of the entry's identity."},
    {.name = "owner_id", .type = FIELD_STRING, .flags = FIELD_BY_NODE, .about = "Public key of the owner, 64 hex digits."},
    {.name = "version", .type = FIELD_STRING, .rule = RULE_LINE, .max = 255, .fallback = "\"0.1.0\"",
     .about = "Version of the model."},
    {.name = "description", .type = FIELD_STRING, .flags = FIELD_SEARCHABLE, .max = RECORD_TEXT_MAX, .fallback = "\"\"",
     .about = "What the model is and what it is good for."},
    {.name = "documentation", .type = FIELD_STRING, .flags = FIELD_NULLABLE, .max = RECORD_TEXT_MAX, .fallback = "null",
     .about = "Documentation, or where to find it."},
    {.name = "license", .type = FIELD_ENUM, .flags = FIELD_FILTER, .values = licenses, .open_value = "Custom",
     .fallback = "\"MIT\"", .about = "Licence of the model."},
    {.name = "model_type", .type = FIELD_ENUM, .flags = FIELD_FILTER, .values = model_types, .open_value = "Other",
     .fallback = "\"LLM\"", .about = "Kind of model."},
    {.name = "framework", .type = FIELD_ENUM, .flags = FIELD_FILTER, .values = frameworks, .open_value = "Other",
     .fallback = "\"PyTorch\"", .about = "Framework that the weights are made for."},
    {.name = "io_modes", .type = FIELD_ENUM_LIST, .max = RECORD_LIST_MAX, .item_max = RECORD_ITEM_MAX,
     .values = io_modes, .open_value = "Other", .fallback = "[\"TextToText\"]", .about = "What goes in and what comes out."},
    {.name = "parameters", .type = FIELD_UINT, .max = INT64_MAX, .fallback = "0", .about = "Number of parameters, 0 if not known."},
    {.name = "quantization", .type = FIELD_ENUM, .flags = FIELD_NULLABLE, .values = quantizations, .open_value = "Other",
     .fallback = "null", .about = "Number format of the weights."},
    {.name = "context_length", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = UINT32_MAX, .fallback = "null",
     .about = "Tokens of context."},
    {.name = "input_tokens_per_second", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = UINT32_MAX,
     .fallback = "null", .about = "Input tokens read in a second."},
    {.name = "output_tokens_per_second", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = UINT32_MAX,
     .fallback = "null", .about = "Output tokens made in a second."},
    {.name = "tags", .type = FIELD_STRING_LIST, .flags = FIELD_SEARCHABLE | FIELD_FILTER, .max = RECORD_LIST_MAX,
     .item_max = RECORD_ITEM_MAX, .fallback = "[]", .about = "Words to find the model by."},
    {.name = "created_at", .type = FIELD_INT, .flags = FIELD_BY_NODE, .about = "Unix time of the first write, in seconds."},
    {.name = "updated_at", .type = FIELD_INT, .flags = FIELD_BY_NODE, .about = "Unix time of the last write, in seconds."},
    {.name = "formfile_template", .type = FIELD_BASE64, .max = 32768, .fallback = "\"\"",
     .about = "Template of the deployment file, in base64."},
    {.name = "weights_url", .type = FIELD_URL, .flags = FIELD_NULLABLE, .max = RECORD_URL_MAX, .fallback = "null",
     .about = "Where the weights are."},
    {.name = "weights_checksum", .type = FIELD_SHA256, .flags = FIELD_NULLABLE, .fallback = "null",
     .about = "SHA-256 of the weights, 64 hex digits."},
    {.name = "weights_size_bytes", .type = FIELD_UINT, .flags = FIELD_NULLABLE, .max = INT64_MAX, .fallback = "null",
     .about = "Size of the weights in bytes."},
    {.name = "resource_requirements", .type = FIELD_OBJECT, .fields = resources, .fallback = "{}",
     .about = "What a machine needs to run the model."},
    {.name = "capabilities", .type = FIELD_STRING_LIST, .flags = FIELD_SEARCHABLE | FIELD_FILTER, .max = RECORD_LIST_MAX,
     .item_max = RECORD_ITEM_MAX, .fallback = "[]", .about = "What the model can do."},
    {.name = "average_rating", .type = FIELD_UINT, .flags = FIELD_BY_NODE | FIELD_NULLABLE, .fallback = "null",
     .about = "Mean rating in tenths, 10 to 50."},
    {.name = "deployment_count", .type = FIELD_UINT, .flags = FIELD_BY_NODE, .fallback = "0", .about = "Deployments counted."},
    {.name = "usage_count", .type = FIELD_UINT, .flags = FIELD_BY_NODE, .fallback = "0", .about = "Uses counted."},
    {.name = "is_featured", .type = FIELD_BOOL, .flags = FIELD_BY_NODE, .fallback = "false", .about = "Shown first by this node."},
    {.name = "is_private", .type = FIELD_BOOL, .fallback = "false", .about = "Asks not to be listed by public sites; no secret."},
    {.name = "metadata", .type = FIELD_STRING_MAP, .max = RECORD_LIST_MAX, .item_max = RECORD_META_MAX, .fallback = "{}",
     .about = "Further facts as text by key."},
    {.name = "repository_url", .type = FIELD_URL, .flags = FIELD_NULLABLE, .max = RECORD_URL_MAX, .fallback = "null",
     .about = "Where the source is."},
    {.name = "demo_url", .type = FIELD_URL, .flags = FIELD_NULLABLE, .max = RECORD_URL_MAX, .fallback = "null",
     .about = "Where the model can be tried."},
    {.name = "paper_url", .type = FIELD_URL, .flags = FIELD_NULLABLE, .max = RECORD_URL_MAX, .fallback = "null",
     .about = "The paper that describes the model."},
    {.name = "price_per_1m_tokens", .type = FIELD_DECIMAL, .flags = FIELD_NULLABLE, .max = 6, .fallback = "null",
     .about = "USD for 1,000,000 input tokens, a decimal string."},
    {.name = "pricing", .type = FIELD_OBJECT_LIST, .rule = RULE_UNITS, .max = RECORD_LIST_MAX, .fields = price_fields,
     .fallback = "[]", .about = "Prices by unit in pico-USD."},
    {.name = "usage_tracking", .type = FIELD_OBJECT, .fields = usage, .fallback = "{}", .about = "What is counted when the model is used."},
    {.name = "moved_to", .type = FIELD_OBJECT, .fields = moved_fields,
     .about = "The entry that takes the place of this one, in its owner's signed word; shown where the signature holds."},
    {0}};

const struct kind_desc kind_model = {.kind = KIND_MODEL, .singular = "model", .plural = "models",
                                     .id_field = "model_id", .fields = fields, .client_writes = true};
