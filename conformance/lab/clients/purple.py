#!/usr/bin/env python3
"""purple.py DIRECTORY PROTOCOL ACCOUNT PASSWORD [NAME=VALUE]... - libpurple without a window: one account of any of its protocols.

Prints a line of JSON for each thing that happens: {"event": "signed-on"}, {"event": "received", "from": …, "text": …} (as the
client shows it), {"event": "error", "text": …} (what a window would show about a conversation).
Reads lines of JSON: {"to": …, "text": …}; {"typing": …}; {"close": …} closes the window of a conversation; the end of the input ends it.
Debug output goes to stderr. DIRECTORY keeps what the library writes."""
import ctypes, json, os, select, sys, time
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p

# The library prints what it does on the standard output, which is ours.
told = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
# Its plugins look for its names among everybody's.
purple = ctypes.CDLL("libpurple.so.0", mode=ctypes.RTLD_GLOBAL)
glib = ctypes.CDLL("libglib-2.0.so.0")
# Every pointer that a function returns is one; ctypes would cut it to an int.
for name in ("purple_account_new purple_find_account purple_connections_get_handle purple_blist_get_handle "
             "purple_find_prpl purple_find_conversation_with_account purple_conversation_new purple_conversation_get_im_data "
             "purple_account_get_connection purple_get_im purple_savedstatus_new purple_connection_get_state purple_set_blist "
             "purple_blist_new purple_serv purple_account_get_presence").split():
    try:
        getattr(purple, name).restype = c_void_p
    except AttributeError:
        pass
for name in ("purple_conversation_get_name", "purple_core_get_version"):
    getattr(purple, name).restype = c_char_p
glib.g_main_context_iteration.argtypes = [c_void_p, c_int]


def tell(**event):
    print(json.dumps(event), file=told, flush=True)


# -- the event loop: libpurple asks for timers and descriptors --
TIMER = CFUNCTYPE(c_int, c_void_p)
INPUT = CFUNCTYPE(None, c_void_p, c_int, c_int)
timers, inputs, numbers = {}, {}, iter(range(1, 1 << 30))


def add_timer(interval, function, data):
    timers[handle := next(numbers)] = [time.monotonic() + interval, interval, TIMER(function), data]
    return handle


def add_input(fd, condition, function, data):
    inputs[handle := next(numbers)] = (fd, condition, INPUT(function), data)
    return handle


def input_error(fd, error):
    import socket
    with socket.socket(fileno=os.dup(fd)) as sock:
        ctypes.cast(error, POINTER(c_int))[0] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return 0


REMOVE = CFUNCTYPE(c_int, c_uint)


class LoopOps(Structure):
    _fields_ = [("timeout_add", CFUNCTYPE(c_uint, c_uint, c_void_p, c_void_p)), ("timeout_remove", REMOVE),
                ("input_add", CFUNCTYPE(c_uint, c_int, c_int, c_void_p, c_void_p)), ("input_remove", REMOVE),
                ("input_get_error", CFUNCTYPE(c_int, c_int, c_void_p)), ("timeout_add_seconds", CFUNCTYPE(c_uint, c_uint, c_void_p, c_void_p)),
                ("reserved", c_void_p * 3)]


def field(ops, name, function):
    setattr(ops, name, dict(ops._fields_)[name](function))


loop = LoopOps()
field(loop, "timeout_add", lambda ms, function, data: add_timer(ms / 1000, function, data))
field(loop, "timeout_add_seconds", lambda s, function, data: add_timer(float(s), function, data))
field(loop, "timeout_remove", lambda handle: int(timers.pop(handle, None) is not None))
field(loop, "input_add", add_input)
field(loop, "input_remove", lambda handle: int(inputs.pop(handle, None) is not None))
field(loop, "input_get_error", input_error)


def turn():
    """Waits for whatever comes first, at most 50 ms, and does it. Some plugins ask GLib itself: it has its turn, too."""
    reads = [fd for fd, condition, *_ in inputs.values() if condition & 1] + ([0] if commands is not None else [])
    writes = [fd for fd, condition, *_ in inputs.values() if condition & 2]
    due = min([timer[0] for timer in timers.values()], default=time.monotonic() + 1) - time.monotonic()
    readable, writable, _ = select.select(reads, writes, [], max(0, min(due, 0.05)))
    for handle, (fd, condition, function, data) in list(inputs.items()):
        now = (1 if condition & 1 and fd in readable else 0) | (2 if condition & 2 and fd in writable else 0)
        if now and handle in inputs:
            function(data, fd, now)
    for handle, timer in list(timers.items()):
        if timer[0] <= time.monotonic() and handle in timers:
            timer[0] = time.monotonic() + timer[1]
            if not timer[2](timer[3]):
                timers.pop(handle, None)
    while glib.g_main_context_iteration(None, 0):
        pass
    if 0 in readable:
        read_commands()


# -- what a window would show --
CONVERSATION_OPS = 19
WRITE = CFUNCTYPE(None, c_void_p, c_char_p, c_char_p, c_char_p, c_int, c_size_t)
FLAG_RECEIVED, FLAG_ERROR = 0x2, 0x200


def show(conversation, name, alias, text, flags, mtime):
    shown = (text or b"").decode("utf-8", "replace")
    if flags & FLAG_RECEIVED:
        tell(event="received", **{"from": purple.purple_conversation_get_name(c_void_p(conversation)).decode()}, text=shown)
    elif not flags & 0x1:
        tell(event="error" if flags & FLAG_ERROR else "note", text=shown)


show = WRITE(show)
# PurpleConversationUiOps: create, destroy, write_chat, write_im, write_conv, …
conversation_ops = (c_void_p * CONVERSATION_OPS)()
conversation_ops[4] = ctypes.cast(show, c_void_p)
core_ops = (c_void_p * 8)()
SIGNAL0 = CFUNCTYPE(None, c_void_p, c_void_p)


@SIGNAL0
def signed_on(connection, _):
    tell(event="signed-on")


CONNECTION_ERROR = CFUNCTYPE(None, c_void_p, c_int, c_char_p, c_void_p)


@CONNECTION_ERROR
def connection_error(connection, reason, text, _):
    tell(event="disconnected", text=(text or b"").decode("utf-8", "replace"))


# -- what to do --
commands, account = b"", None


def read_commands():
    global commands
    octets = os.read(0, 65536)
    if not octets:
        commands = None
        return
    *lines, commands = (commands + octets).split(b"\n")
    for line in lines:
        obey(json.loads(line))


def conversation_with(name):
    found = purple.purple_find_conversation_with_account(1, name.encode(), c_void_p(account))
    return c_void_p(found or purple.purple_conversation_new(1, c_void_p(account), name.encode()))


def obey(command):
    if "to" in command:
        im = purple.purple_conversation_get_im_data(conversation_with(command["to"]))
        purple.purple_conv_im_send(c_void_p(im), command["text"].encode())
    elif "typing" in command:
        connection = purple.purple_account_get_connection(c_void_p(account))
        purple.serv_send_typing(c_void_p(connection), command["typing"].encode(), 1)
    elif "close" in command:
        purple.purple_conversation_destroy(conversation_with(command["close"]))


def connect(signal, handle, callback):
    own = c_int(0)
    connect.handles.append(own)
    purple.purple_signal_connect(c_void_p(handle), signal, byref(own), ctypes.cast(callback, c_void_p), None)


connect.handles = []


def main():
    global account
    directory, protocol, name, password, *settings = sys.argv[1:]
    os.makedirs(directory, exist_ok=True)
    purple.purple_util_set_user_dir(directory.encode())
    purple.purple_debug_set_enabled(1)
    # The messages, too: the passwords of the lab are nobody's.
    purple.purple_debug_set_unsafe(1)
    purple.purple_debug_set_verbose(1)
    purple.purple_core_set_ui_ops(byref(core_ops))
    purple.purple_eventloop_set_ui_ops(byref(loop))
    purple.purple_plugins_add_search_path(b"/usr/lib/purple-2")
    if not purple.purple_core_init(b"gangway-conformance"):
        sys.exit("libpurple does not start")
    purple.purple_set_blist(c_void_p(purple.purple_blist_new()))
    purple.purple_conversations_set_ui_ops(byref(conversation_ops))
    connections = purple.purple_connections_get_handle()
    connect(b"signed-on", connections, signed_on)
    connect(b"connection-error", connections, connection_error)
    if not purple.purple_find_prpl(protocol.encode()):
        sys.exit(f"libpurple has no {protocol}")
    account = purple.purple_account_new(name.encode(), protocol.encode())
    purple.purple_account_set_password(c_void_p(account), password.encode())
    for setting in settings:
        key, value = setting.split("=", 1)
        purple.purple_account_set_string(c_void_p(account), key.encode(), value.encode())
    purple.purple_accounts_add(c_void_p(account))
    purple.purple_account_set_enabled(c_void_p(account), b"gangway-conformance", 1)
    purple.purple_savedstatus_activate(c_void_p(purple.purple_savedstatus_new(None, 2)))
    while commands is not None:
        turn()
    purple.purple_account_set_enabled(c_void_p(account), b"gangway-conformance", 0)
    until = time.monotonic() + 1
    while time.monotonic() < until:
        turn()


if __name__ == "__main__":
    main()
