# %% [markdown]
# # own_video
# %%
print(1)
