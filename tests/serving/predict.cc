// What a model server does with an exported tracker, in small: loads it with
// the loader of TensorFlow Serving, replays the warm-up requests, from several
// threads at once too, and answers one request.
//
//   predict MODEL DESCRIPTORS REQUEST RESPONSE [OP_LIBRARY]
//
// MODEL is a SavedModel's folder, DESCRIPTORS a FileDescriptorSet with
// TensorFlow Serving's messages, which the TensorFlow wheel lacks. REQUEST
// holds the bytes of a PredictRequest; those of its PredictResponse go to
// RESPONSE. OP_LIBRARY is loaded before the model; the program may also have
// been linked with the op.

#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>  // NOLINT
#include <utility>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/message.h"
#include "tensorflow/cc/saved_model/loader.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/lib/io/record_reader.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/public/session.h"

namespace {

using google::protobuf::Message;

constexpr int kThreads = 8;
constexpr int kRepeats = 5;

void Check(const absl::Status& status) {
  if (!status.ok()) {
    std::cerr << status << std::endl;
    std::exit(1);
  }
}

void Check(bool holds, const std::string& what) {
  Check(holds ? absl::OkStatus() : absl::InternalError(what));
}

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Check(file.good(), "cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Messages of TensorFlow Serving, known by their descriptors alone.
class Messages {
 public:
  explicit Messages(const std::string& descriptors)
      : pool_(google::protobuf::DescriptorPool::generated_pool()) {
    google::protobuf::FileDescriptorSet files;
    Check(files.ParseFromString(descriptors), "bad descriptors");
    for (const auto& file : files.file()) {
      if (pool_.FindFileByName(file.name()) == nullptr) {
        Check(pool_.BuildFile(file) != nullptr, "bad " + file.name());
      }
    }
    factory_.SetDelegateToGeneratedFactory(true);
  }

  std::unique_ptr<Message> New(const std::string& name,
                               const std::string& bytes = "") {
    const auto* type =
        pool_.FindMessageTypeByName("tensorflow.serving." + name);
    Check(type != nullptr, "no " + name);
    std::unique_ptr<Message> message(factory_.GetPrototype(type)->New());
    Check(message->ParseFromString(bytes), "bad " + name);
    return message;
  }

 private:
  google::protobuf::DescriptorPool pool_;
  google::protobuf::DynamicMessageFactory factory_;
};

const google::protobuf::FieldDescriptor* Field(const Message& message,
                                               const std::string& name) {
  const auto* field = message.GetDescriptor()->FindFieldByName(name);
  Check(field != nullptr, "no field " + name);
  return field;
}

const Message& Get(const Message& message, const std::string& name) {
  return message.GetReflection()->GetMessage(message, Field(message, name));
}

std::string GetString(const Message& message, const std::string& name) {
  return message.GetReflection()->GetString(message, Field(message, name));
}

Message* Mutable(Message* message, const std::string& name) {
  return message->GetReflection()->MutableMessage(message,
                                                  Field(*message, name));
}

void SetString(Message* message, const std::string& name,
               const std::string& value) {
  message->GetReflection()->SetString(message, Field(*message, name), value);
}

using Outputs = std::map<std::string, tensorflow::Tensor>;

// A request, ready to run.
struct Request {
  std::string signature;
  std::vector<std::pair<std::string, tensorflow::Tensor>> inputs;
  std::vector<std::string> output_aliases, output_names;
};

Request Prepare(const Message& message,
                const tensorflow::SavedModelBundle& model) {
  Request request;
  request.signature = GetString(Get(message, "model_spec"), "signature_name");
  const auto& signatures = model.GetSignatures();
  Check(signatures.contains(request.signature), "no " + request.signature);
  const auto& signature = signatures.at(request.signature);
  const auto* field = Field(message, "inputs");
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, field, i);
    tensorflow::TensorProto proto;
    proto.ParseFromString(Get(entry, "value").SerializeAsString());
    tensorflow::Tensor tensor;
    Check(tensor.FromProto(proto), "bad tensor");
    const std::string alias = GetString(entry, "key");
    Check(signature.inputs().contains(alias), "no input " + alias);
    request.inputs.emplace_back(signature.inputs().at(alias).name(), tensor);
  }
  for (const auto& [alias, info] : signature.outputs()) {
    request.output_aliases.push_back(alias);
    request.output_names.push_back(info.name());
  }
  return request;
}

Outputs Run(const Request& request, tensorflow::Session* session) {
  std::vector<tensorflow::Tensor> tensors;
  Check(session->Run(request.inputs, request.output_names, {}, &tensors));
  Outputs outputs;
  for (size_t i = 0; i < tensors.size(); ++i) {
    outputs[request.output_aliases[i]] = tensors[i];
  }
  return outputs;
}

std::string Bytes(const Outputs& outputs) {
  std::string bytes;
  for (const auto& [name, tensor] : outputs) {
    bytes += name + std::string(tensor.tensor_data());
  }
  return bytes;
}

std::string Respond(const Request& request, const Outputs& outputs,
                    std::unique_ptr<Message> response) {
  SetString(Mutable(response.get(), "model_spec"), "signature_name",
            request.signature);
  for (const auto& [name, tensor] : outputs) {
    Message* entry = response->GetReflection()->AddMessage(
        response.get(), Field(*response, "outputs"));
    tensorflow::TensorProto proto;
    tensor.AsProtoTensorContent(&proto);
    SetString(entry, "key", name);
    Mutable(entry, "value")->ParseFromString(proto.SerializeAsString());
  }
  return response->SerializeAsString();
}

}  // namespace

int main(int argc, char** argv) {
  Check(argc == 5 || argc == 6,
        "usage: predict MODEL DESCRIPTORS REQUEST RESPONSE [OP_LIBRARY]");
  const std::string folder = argv[1];
  auto* env = tensorflow::Env::Default();
  if (argc == 6) {
    void* library;
    Check(env->LoadDynamicLibrary(argv[5], &library));
  }

  tensorflow::SavedModelBundle model;
  Check(tensorflow::LoadSavedModel({}, {}, folder, {"serve"}, &model));
  tensorflow::Session* session = model.GetSession();
  Messages messages(Read(argv[2]));

  const std::string path = folder + "/assets.extra/tf_serving_warmup_requests";
  std::unique_ptr<tensorflow::RandomAccessFile> file;
  Check(env->NewRandomAccessFile(path, &file));
  tensorflow::io::SequentialRecordReader reader(file.get());
  std::vector<Request> requests;
  std::vector<std::string> expected;
  for (tensorflow::tstring record; reader.ReadRecord(&record).ok();) {
    const auto log = messages.New("PredictionLog", record);
    requests.push_back(
        Prepare(Get(Get(*log, "predict_log"), "request"), model));
    expected.push_back(Bytes(Run(requests.back(), session)));
    std::cout << requests.back().signature << std::endl;
  }

  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (size_t i = 0; i < kRepeats * requests.size(); ++i) {
        const size_t index = (i + thread) % requests.size();
        Check(Bytes(Run(requests[index], session)) == expected[index],
              "threads disagree on " + requests[index].signature);
      }
    });
  }
  for (auto& thread : threads) thread.join();

  const Request request =
      Prepare(*messages.New("PredictRequest", Read(argv[3])), model);
  std::ofstream(argv[4], std::ios::binary) << Respond(
      request, Run(request, session), messages.New("PredictResponse"));
}
